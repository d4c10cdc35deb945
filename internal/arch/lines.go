package arch

// Module is the import path of the module.
const Module = "github.com/stanch-dlp/stanch"

// Line is a row of the layer list: a package imports packages of lower lines
// only, never one of its own line or above.
type Line struct {
	Name     string
	Packages []string // relative to Module
}

// Lines returns the layers from the top down (docs/architecture.md). Every
// package of the module is listed here once; a new one enters by a record in
// docs/adr.
func Lines() []Line {
	return []Line{
		{"tests of the whole road", []string{"internal/e2e"}},
		{"programs", []string{"cmd/stanch", "internal/synth/demo", "internal/gold/cases/write", "internal/sbom"}},
		{"configuration", []string{"internal/config"}},
		{"faces", []string{"internal/control", "internal/console", "internal/portal", "internal/sender", "internal/report", "internal/doctor"}},
		{"conductors", []string{"internal/gateway", "internal/survey", "internal/rulelint", "internal/rulebench"}},
		{"the choice of a way", []string{"internal/crypt/ways", "internal/crypt/files"}},
		{"stores and ways", []string{"internal/store/sqlite", "internal/crypt/age", "internal/crypt/openpgp", "internal/crypt/smime", "internal/crypt/pdf", "internal/notify/hook", "internal/notify/siem", "internal/tally", "internal/sample", "internal/department", "smtp/milter", "smtp/route"}},
		{"the shared half of every store, conformance suites", []string{
			"internal/store", "internal/vault/vaulttest", "internal/spool/spooltest", "watch/watchtest",
		}},
		{"stations", []string{
			"smtp", "smtp/mtasts", "watch", "internal/extract", "internal/extract/formats", "scanner", "internal/policy",
			"internal/crypt", "internal/crypt/strict", "internal/crypt/seen", "internal/vault", "internal/spool", "internal/notify", "internal/audit", "internal/bypass", "internal/loop", "internal/probe", "internal/dkim", "internal/passbook", "internal/rulefile", "internal/dossier", "internal/rollout", "internal/drill", "internal/pickup", "internal/backup",
		}},
		{"a browser for tests of pages", []string{"internal/webtest"}},
		{"generated labelled text", []string{"internal/gold/cases"}},
		{"rules and fixtures", []string{"patterns", "internal/index", "internal/tables", "internal/synth", "internal/gold"}},
		{"parsers of one format each", []string{ // internal/extract/FORMAT, for internal/extract/formats alone
			"internal/extract/rtf", "internal/extract/doc",
			"internal/extract/msg", "internal/extract/tnef",
			"internal/extract/mac",
			"internal/extract/xls",
			"internal/extract/xlsb", "internal/extract/dbf",
			"internal/extract/ppt",
			"internal/extract/pixmeta", "internal/extract/picture",
			"internal/extract/sqlitefile",
			"internal/extract/metafile",
			"internal/extract/onenote",
			"internal/extract/access",
			"internal/extract/iwork",
			"internal/extract/plist",
			"internal/extract/parquet",
			"internal/extract/vba",
			"internal/extract/pst",
			"internal/extract/chm",
			"internal/extract/ar", "internal/extract/cpio", "internal/extract/lzw", "internal/extract/xz",
			"internal/extract/deflate64", "internal/extract/pkzip", "internal/extract/ppmd8",
			"internal/extract/zipcrypt",
			"internal/extract/cab", "internal/extract/iso", "internal/extract/rpm",
		}},
		{"ground of several parsers", []string{
			"internal/extract/cfb",
			"internal/extract/mapi",
			"internal/extract/ole1",
			"internal/extract/officeart",
			"internal/extract/propset",
			"internal/extract/offcrypto",
			"internal/extract/lzx",
			"internal/extract/layout",
			"internal/extract/listnum",
		}},
		{"ground", []string{
			"internal/message", "internal/crypt/cms", "internal/crypt/revocation", "internal/crypt/keydir", "internal/crypt/tpm", "internal/wire", "internal/chunk", "internal/buffer", "internal/safefile", "internal/safelog", "internal/service", "internal/accept", "internal/groupcommit",
			"internal/metrics", "internal/tomlpos", "scanner/check", "smtp/scram", "smtp/proxyproto", "smtp/resolve", "internal/arch", "internal/extract/codepage", "internal/extract/prefix",
			"internal/web", "internal/passkey",
		}},
		{"nouns", []string{"internal/dlp"}},
		{"the kernel", []string{"internal/sandbox", "internal/smalldisk"}},
	}
}

// alsoInTests lists, for a package, what its tests import beyond what the
// package may, each because the thing under test cannot be shown without it.
func alsoInTests() map[string][]string {
	return map[string][]string{
		"patterns":              {"scanner"},                                     // a pack's own tests run through the real scanner
		"internal/store/sqlite": {"internal/crypt/age"},                          // the suites seal with real keys
		"internal/tally":        {"internal/store/sqlite", "internal/crypt/age"}, // what is counted lies in a real database
		"internal/sample":       {"internal/crypt/age", "internal/crypt"},        // what is kept is sealed with real keys
		"internal/bypass":       {"internal/crypt"},                              // what is kept is sealed with real keys
		"internal/drill":        {"internal/crypt"},                              // and so are drills
		"internal/loop":         {"internal/crypt"},                              // and so are marks
		"internal/extract":      {"internal/extract/formats", "scanner"},         // the test program plays the child; evasions go through the real scan
		"watch":                 {"watch/watchtest"},
		"internal/index":        {"internal/synth"}, // patients are invented
		"internal/tables":       {"internal/synth"}, // and so are codes
		"internal/vault":        {"internal/vault/vaulttest"},
		"internal/spool":        {"internal/spool/spooltest"},
	}
}

// guarded names what only some packages may use. Key: a package, or a package
// and one of its functions after a dot. Value: the packages that may; a
// package's own tests always may.
func guarded() map[string][]string {
	return map[string][]string{
		"internal/extract/formats":    {"cmd/stanch"}, // parsers run in the child only
		"internal/extract/mac":        {"internal/extract/formats"},
		"internal/extract/msg":        {"internal/extract/formats"},
		"internal/extract/tnef":       {"internal/extract/formats"},
		"internal/extract/rtf":        {"internal/extract/formats"},
		"internal/extract/doc":        {"internal/extract/formats"},
		"internal/extract/xls":        {"internal/extract/formats"},
		"internal/extract/xlsb":       {"internal/extract/formats"},
		"internal/extract/dbf":        {"internal/extract/formats"},
		"internal/extract/ppt":        {"internal/extract/formats"},
		"internal/extract/sqlitefile": {"internal/extract/formats"},
		"internal/extract/metafile":   {"internal/extract/formats"},
		"internal/extract/onenote":    {"internal/extract/formats"},
		"internal/extract/access":     {"internal/extract/formats"},
		"internal/extract/iwork":      {"internal/extract/formats"},
		"internal/extract/plist":      {"internal/extract/formats"},
		"internal/extract/parquet":    {"internal/extract/formats"},
		"internal/extract/pst":        {"internal/extract/formats"},
		"internal/extract/chm":        {"internal/extract/formats"},
		"internal/extract/pixmeta":    {"internal/extract/formats"},
		"internal/extract/picture":    {"internal/extract/formats"},
		"internal/safelog.New":        {"cmd/stanch"}, // one place decides where logs go
		"internal/extract/ar":         {"internal/extract/formats"},
		"internal/extract/cpio":       {"internal/extract/formats"},
		"internal/extract/lzw":        {"internal/extract/formats"},
		"internal/extract/xz":         {"internal/extract/formats"},
		"internal/extract/deflate64":  {"internal/extract/formats"},
		"internal/extract/pkzip":      {"internal/extract/formats"},
		"internal/extract/vba":        {"internal/extract/formats"},
		"internal/extract/ppmd8":      {"internal/extract/formats"},
		"internal/extract/zipcrypt":   {"internal/extract/formats"},
		"internal/extract/cab":        {"internal/extract/formats"},
		"internal/extract/iso":        {"internal/extract/formats"},
		"internal/extract/rpm":        {"internal/extract/formats"},
	}
}
