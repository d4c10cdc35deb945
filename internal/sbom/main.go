// Command sbom writes the bill of materials of a built stanch: each module that
// is linked in, with its version, its digest and its licence, as SPDX 2.3 in
// JSON; and the text of each licence into a folder.
//
// It reads the binary, not the tree: what is listed is what runs. The modules'
// files are taken from the go command, which has them because it built the
// binary.
package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/arch"
)

func main() {
	binary := flag.String("binary", "", "the built program")
	name := flag.String("version", "", "its version")
	created := flag.String("created", "", "time of the document, RFC 3339: that of the commit, so that the same binary gives the same bytes")
	licences := flag.String("licences", "", "folder for the texts of the licences")
	flag.Parse()
	doc, err := bill(*binary, *name, *created, *licences)
	if err == nil {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", " ")
		enc.SetEscapeHTML(false)
		err = enc.Encode(doc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(2)
	}
}

// The part of SPDX 2.3 that is written.
//
// Source: SPDX Specification 2.3, clauses 6 (document), 7 (package) and 11
// (relationships).
type document struct {
	Version       string         `json:"spdxVersion"`
	License       string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []pkg          `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type pkg struct {
	ID        string     `json:"SPDXID"`
	Name      string     `json:"name"`
	Version   string     `json:"versionInfo"`
	Download  string     `json:"downloadLocation"`
	Analyzed  bool       `json:"filesAnalyzed"`
	Checksums []checksum `json:"checksums,omitempty"`
	Concluded string     `json:"licenseConcluded"`
	Declared  string     `json:"licenseDeclared"`
	Copyright string     `json:"copyrightText"`
	Comment   string     `json:"comment,omitempty"`
	Refs      []ref      `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type ref struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Kind string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

const (
	docID     = "SPDXRef-DOCUMENT"
	programID = "SPDXRef-stanch"
	unstated  = "NOASSERTION"
)

func bill(binary, version, created, licences string) (*document, error) {
	raw, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	info, err := buildinfo.Read(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	digest := hex.EncodeToString(sum[:])
	doc := &document{Version: "SPDX-2.3", License: "CC0-1.0", ID: docID, Name: "stanch-" + version,
		Namespace: "urn:sha256:" + digest, Creation: creation{created, []string{"Tool: stanch-sbom"}}}
	program := pkg{ID: programID, Name: "stanch", Version: version, Download: unstated, Concluded: "Apache-2.0", Declared: "Apache-2.0",
		Copyright: unstated, Checksums: []checksum{{"SHA256", digest}}}
	std := pkg{ID: "SPDXRef-go", Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go"), Download: unstated,
		Concluded: "BSD-3-Clause", Declared: "BSD-3-Clause", Copyright: unstated,
		Refs: []ref{{"PACKAGE-MANAGER", "purl", "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")}}}
	doc.Packages = []pkg{program, std}
	for _, m := range info.Deps {
		p, err := module(m, licences)
		if err != nil {
			return nil, err
		}
		doc.Packages = append(doc.Packages, p)
	}
	doc.Relationships = []relationship{{docID, "DESCRIBES", programID}}
	for _, p := range doc.Packages[1:] {
		doc.Relationships = append(doc.Relationships, relationship{programID, "STATIC_LINK", p.ID})
	}
	return doc, nil
}

// module describes m and copies its licences into a folder below licences.
func module(m *debug.Module, licences string) (pkg, error) {
	if m.Replace != nil {
		m = m.Replace
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", m.Path+"@"+m.Version).Output()
	if err != nil {
		return pkg{}, fmt.Errorf("%s: %w", m.Path, err)
	}
	dir := strings.TrimSpace(string(out))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return pkg{}, fmt.Errorf("%s: %w", m.Path, err)
	}
	var found []string
	for _, e := range entries {
		if e.IsDir() || !arch.IsLicence(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return pkg{}, err
		}
		if id := spdxID(arch.Licence(text), text); !slices.Contains(found, id) {
			found = append(found, id)
		}
		if licences == "" {
			continue
		}
		to := filepath.Join(licences, filepath.FromSlash(m.Path))
		if err := os.MkdirAll(to, 0o755); err != nil {
			return pkg{}, err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), text, 0o644); err != nil {
			return pkg{}, err
		}
	}
	if len(found) == 0 {
		return pkg{}, fmt.Errorf("%s: got no licence file, want one", m.Path)
	}
	slices.Sort(found)
	licence := strings.Join(found, " AND ")
	return pkg{ID: "SPDXRef-" + plain(m.Path), Name: m.Path, Version: m.Version, Download: unstated, Concluded: licence, Declared: licence,
		Copyright: unstated, Comment: "go.sum " + m.Sum, Refs: []ref{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + m.Path + "@" + m.Version}}}, nil
}

// spdxID returns the identifier in SPDX's list of licences.
func spdxID(name string, text []byte) string {
	switch name {
	case "BSD":
		if bytes.Contains(text, []byte("may be used to endorse")) || bytes.Contains(text, []byte("endorse or promote")) {
			return "BSD-3-Clause"
		}
		return "BSD-2-Clause"
	case "SQLite":
		return "blessing"
	case "":
		return unstated
	}
	return name
}

// plain is s as an SPDX identifier: letters, digits, dots and hyphens.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, s)
}
