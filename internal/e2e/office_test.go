package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// officeFiles lets LibreOffice make a .docx, an .xlsx and a .pdf with PHI.
func officeFiles(t *testing.T) map[string]string {
	t.Helper()
	need(t, "soffice")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "letter.html"), "<html><body><h1>Discharge</h1><p>MRN: E4821133, diagnosis E11.9, "+
		"social security number 536-22-8145</p></body></html>", 0o600)
	write(t, filepath.Join(dir, "list.csv"), "name,record number,diagnosis,ssn\nMira Testcase,E4821133,E11.9,536-22-8145\n", 0o600)
	convert := func(to, src string) string {
		cmd := exec.Command("soffice", "--headless", "-env:UserInstallation=file://"+filepath.Join(dir, "profile"),
			"--convert-to", to, "--outdir", dir, filepath.Join(dir, src))
		cmd.Env = append(os.Environ(), "HOME="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("soffice: %v: %s", err, out)
		}
		ext, _, _ := strings.Cut(to, ":")
		path := filepath.Join(dir, strings.TrimSuffix(src, filepath.Ext(src))+"."+ext)
		if !exists(path) {
			t.Fatalf("soffice made no %s", ext)
		}
		return path
	}
	return map[string]string{
		"docx": convert("docx:MS Word 2007 XML", "letter.html"),
		"pdf":  convert("pdf:writer_web_pdf_Export", "letter.html"),
		"xlsx": convert("xlsx", "list.csv"),
	}
}

func TestOfficeDocumentsAreHeld(t *testing.T) {
	t.Parallel()
	files := officeFiles(t)
	g := newGateway(t, options{})
	g.start()
	for kind, path := range files {
		t.Run("mail "+kind, func(t *testing.T) {
			body := base64.StdEncoding.EncodeToString([]byte(read(t, path)))
			msg := "From: ada@clinic.example\r\nTo: sam@partner.example\r\nSubject: report\r\nMIME-Version: 1.0\r\n" +
				"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee attached\r\n" +
				"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=report." + kind + "\r\n" +
				"Content-Transfer-Encoding: base64\r\n\r\n" + wrap(body) + "--b--\r\n"
			answer, err := g.send("ada@clinic.example", outside, msg)
			if err != nil || !strings.Contains(answer, "Held for review, id ") {
				t.Fatalf("%q, %v; want it held", answer, err)
			}
			it := g.held()[0]
			if !strings.Contains(strings.Join(it.Rules, " "), "us-ssn") {
				t.Errorf("held by %v, want us-ssn among them", it.Rules)
			}
		})
		t.Run("file "+kind, func(t *testing.T) {
			before := len(g.held())
			dst := filepath.Join(g.share, fmt.Sprintf("report.%s", kind))
			write(t, dst, read(t, path), 0o644)
			eventually(t, "it is held", func() bool { return len(g.held()) == before+1 })
		})
	}
}

// wrap breaks base64 into lines of 76 (RFC 2045 6.8).
func wrap(s string) string {
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76] + "\r\n")
		s = s[76:]
	}
	return b.String() + s + "\r\n"
}
