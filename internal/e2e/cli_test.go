package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ran is how one command ended.
type ran struct {
	out, errs string
	code      int
}

// shell runs stanch in dir, where no configuration is but what the test put
// there.
func shell(t *testing.T, dir, stdin string, args ...string) ran {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), stanch, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Dir(warmed), "STANCH_CONFIG=")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("stanch %v: %v", args, err)
	}
	return ran{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// The files that the tests of scan read.
const (
	cleanText = "the meeting is at three\n"
	phiText   = "SSN: 536-22-8145\nMRN: 1234567\n"
	siteRule  = `schema = 1
[[rules]]
id = "site-badge"
description = "Staff badge"
type = "CUSTOM"
severity = "low"
[[rules.patterns]]
regex = '''B-\d{5}'''
confidence = "high"
[rules.tests]
match = ["badge B-12345 lost"]
no_match = ["badge 12345"]
`
)

func surveyFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"in/clean.txt": cleanText, "in/sub/phi.txt": phiText, "in/unread.bin": "\x00\x01\xff\xfe\x00\x80\x02\x00",
		"in/mail.eml": "From: ada@clinic.example\r\nTo: sam@partner.example, nurse@clinic.example\r\nSubject: x\r\n\r\nSSN 536-22-8145\r\n",
		"badge.txt":   "badge B-12345\n", "good.toml": siteRule,
		"badtest.toml": strings.Replace(siteRule, `["badge 12345"]`, `["badge B-54321"]`, 1),
		"badkey.toml":  strings.Replace(siteRule, "severity", "severitee", 1),
		"onlygap.toml": "[defaults]\non_gap = \"perhaps\"\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, text, 0o644)
	}
	return dir
}

func TestScanExit(t *testing.T) {
	t.Parallel()
	dir := surveyFolder(t)
	tests := []struct {
		name  string
		stdin string
		args  []string
		want  int
		errs  string // regular expression; "" for silence
	}{
		{"nothing found, all read", "", []string{"in/clean.txt"}, 0, ""},
		{"findings", "", []string{"in/sub/phi.txt"}, 1, ""},
		{"not read", "", []string{"in/unread.bin"}, 3, ""},
		{"findings before not read", "", []string{"in/unread.bin", "in/sub/phi.txt"}, 1, ""},
		{"an error before findings", "", []string{"in/sub/phi.txt", "in/gone", "in/unread.bin"}, 2, ""},
		{"an error before not read", "", []string{"in/gone", "in/unread.bin"}, 2, ""},
		{"folder", "", []string{"in"}, 1, ""},
		{"empty standard input", "", []string{"-"}, 0, ""},
		{"standard input", phiText, []string{"-"}, 1, ""},
		{"standard input, not named", phiText, nil, 1, ""},
		{"too sure for it", phiText, []string{"--only", "us-mrn", "--min-confidence", "high", "-"}, 0, ""},
		{"sure enough", phiText, []string{"--only", "us-mrn", "-"}, 1, ""},
		{"another rule only", phiText, []string{"--only", "us-npi", "-"}, 0, ""},
		{"a rule of the site", "", []string{"--rules", "good.toml", "badge.txt"}, 1, ""},
		{"without it", "", []string{"badge.txt"}, 0, ""},
		{"unknown rule", "", []string{"--only", "nosuch", "in"}, 2, `^stanch: --only: .*"nosuch"`},
		{"unknown flag", "", []string{"--bogus", "in"}, 2, "unknown flag: --bogus: see `stanch scan --help`"},
		{"unknown format", "", []string{"--format", "yaml", "in"}, 2, "--format: want one of table, json, jsonl"},
		{"unknown confidence", "", []string{"--min-confidence", "huge", "in"}, 2, "--min-confidence: want"},
		{"no jobs", "", []string{"--jobs", "0", "in"}, 2, "--jobs: want 1 or more"},
		{"broken test in a rule", "", []string{"--rules", "badtest.toml", "in"}, 2, `^stanch: badtest\.toml:12: rules\[0\]\.tests\.no_match\[0\]: .`},
		{"broken configuration", "", []string{"--config", "onlygap.toml", "in"}, 2, `^stanch: onlygap\.toml:2: defaults\.on_gap: .`},
		{"no such configuration", "", []string{"--config", "gone.toml", "in"}, 2, `gone\.toml`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := shell(t, dir, tt.stdin, append([]string{"scan"}, tt.args...)...)
			if r.code != tt.want {
				t.Errorf("got exit %d, want %d; printed %q and %q", r.code, tt.want, r.out, r.errs)
			}
			if (tt.errs == "") != (r.errs == "") || !regexp.MustCompile(tt.errs).MatchString(r.errs) {
				t.Errorf("got %q on standard error, want a match of %q", r.errs, tt.errs)
			}
		})
	}
}

// scanned runs scan and returns its lines by path.
func scanned(t *testing.T, dir, stdin string, args ...string) map[string]map[string]any {
	t.Helper()
	r := shell(t, dir, stdin, append([]string{"scan", "--format", "jsonl"}, args...)...)
	docs := map[string]map[string]any{}
	for line := range strings.Lines(r.out) {
		var d map[string]any
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%v: line %q", err, line)
		}
		path, _ := d["path"].(string)
		docs[path] = d
	}
	return docs
}

func keysOf(m map[string]any) []string {
	var ks []string
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

func TestScanJSONL(t *testing.T) {
	t.Parallel()
	dir := surveyFolder(t)
	docs := scanned(t, dir, "", "in", "in/gone")
	if len(docs) != 5 {
		t.Fatalf("got %d documents, want the folder's four and the one that is not there", len(docs))
	}

	phi := docs["in/sub/phi.txt"]
	want := []string{"elapsed_ms", "findings", "gaps", "path", "policy", "ruleset", "sha256", "size", "status", "type", "verdict"}
	if got := keysOf(phi); !slices.Equal(got, want) {
		t.Errorf("got fields %v, want %v", got, want)
	}
	for field, want := range map[string]any{"type": "text/plain", "size": float64(len(phiText)), "status": "scanned",
		"verdict": "quarantine", "policy": "phi-number"} {
		if phi[field] != want {
			t.Errorf("%s: got %v, want %v", field, phi[field], want)
		}
	}
	found, _ := phi["findings"].([]any)
	if len(found) != 2 {
		t.Fatalf("got findings %v, want two", found)
	}
	f, _ := found[0].(map[string]any)
	want = []string{"confidence", "end", "line", "masked", "part", "rule", "severity", "start", "tags", "type"}
	if got := keysOf(f); !slices.Equal(got, want) {
		t.Errorf("got a finding's fields %v, want %v", got, want)
	}
	start := strings.Index(phiText, "536-22-8145")
	for field, want := range map[string]any{"rule": "us-ssn", "type": "SSN", "confidence": "high", "severity": "high", "part": "",
		"start": float64(start), "end": float64(start + 11), "line": float64(1), "masked": "***-**-8145"} {
		if f[field] != want {
			t.Errorf("%s: got %v, want %v", field, f[field], want)
		}
	}
	if m, _ := found[1].(map[string]any); m["masked"] != "*****67" || m["confidence"] != "medium" {
		t.Errorf("got %v, want the record number masked to two characters, at medium", m)
	}

	for name, want := range map[string][3]string{"in/clean.txt": {"scanned", "allow", ""}, "in/unread.bin": {"failed", "quarantine", ""},
		"in/gone": {"failed", "quarantine", ""}} {
		d := docs[name]
		if got := [3]string{d["status"].(string), d["verdict"].(string), d["policy"].(string)}; got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if f, ok := d["findings"].([]any); !ok || len(f) != 0 {
			t.Errorf("%s: got findings %v, want []", name, d["findings"])
		}
	}
	gaps, _ := docs["in/unread.bin"]["gaps"].([]any)
	if len(gaps) != 1 || gaps[0].(map[string]any)["cause"] != "unsupported" {
		t.Errorf("got gaps %v, want one, unsupported", gaps)
	}
	if docs["in/gone"]["error"] == nil || docs["in/clean.txt"]["error"] != nil {
		t.Errorf("got errors %v and %v, want one for the file that is not there", docs["in/gone"]["error"], docs["in/clean.txt"]["error"])
	}

	mail := docs["in/mail.eml"]
	verdicts, _ := mail["verdicts"].([]any)
	if mail["type"] != "message/rfc822" || len(verdicts) != 2 {
		t.Fatalf("got %v, want a mail with a verdict for each recipient", mail)
	}
	if v := verdicts[0].(map[string]any); v["recipient"] != "sam@partner.example" || v["verdict"] != "quarantine" || v["policy"] != "phi-number" {
		t.Errorf("got %v, want it held for the recipient", v)
	}
}

func TestScanShows(t *testing.T) {
	t.Parallel()
	dir := surveyFolder(t)
	if out := shell(t, dir, phiText, "scan", "-").out; strings.Contains(out, "536-22-8145") {
		t.Errorf("got the value without --reveal: %s", out)
	}
	d := scanned(t, dir, phiText, "--reveal", "-")["-"]
	if f := d["findings"].([]any)[0].(map[string]any); f["value"] != "536-22-8145" || f["masked"] != "***-**-8145" {
		t.Errorf("got %v, want the value beside the mask", f)
	}
	d = scanned(t, dir, "", "--rules", "good.toml", "badge.txt")["badge.txt"]
	if f := d["findings"].([]any)[0].(map[string]any); f["rule"] != "site-badge" || f["tags"] == nil {
		t.Errorf("got %v, want the site's rule, its tags [] and not null", f)
	}
	// What is printed, not what is decided, follows --min-confidence.
	d = scanned(t, dir, "his number is 536-22-8145\n", "--min-confidence", "high", "-")["-"]
	if len(d["findings"].([]any)) != 0 || d["verdict"] != "quarantine" {
		t.Errorf("got %v, want no finding printed and the verdict of all", d)
	}
	var all []map[string]any
	if err := json.Unmarshal([]byte(shell(t, dir, "", "scan", "--format", "json", "in").out), &all); err != nil || len(all) != 4 {
		t.Errorf("json: got %d documents, %v; want four", len(all), err)
	}
	table := shell(t, dir, "", "scan", "--format", "table", "in/sub").out
	if !strings.Contains(table, "in/sub/phi.txt  quarantine by phi-number\n") || !strings.HasSuffix(table, "1 document read, 2 findings in 1\n") {
		t.Errorf("got the table %q", table)
	}
}

func TestRulesAndConfigExit(t *testing.T) {
	t.Parallel()
	dir := surveyFolder(t)
	if out := shell(t, dir, "", "config", "init").out; out != "" {
		write(t, filepath.Join(dir, "starter.toml"), out, 0o644)
	}
	write(t, filepath.Join(dir, "wrong.toml"), "[smtp]\nlisten = [\"here\"]\n\n[smpt]\n", 0o644)
	write(t, filepath.Join(dir, "norule.toml"), "[[policies]]\nid = \"x\"\nall = [{ rule = \"nosuch\" }]\naction = \"quarantine\"\n", 0o644)
	write(t, filepath.Join(dir, "badpack.toml"), "[rules]\npaths = [\"badtest.toml\"]\n", 0o644)
	const mail = "[smtp]\nlisten = [\"127.0.0.1:2525\"]\nhostname = \"gw.clinic.example\"\nnext_hop = \"maildir:mail\"\n"
	write(t, filepath.Join(dir, "nocert.toml"), mail+"tls_cert = \"gone.pem\"\ntls_key = \"gone.key\"\n", 0o644)
	write(t, filepath.Join(dir, "openkey.toml"), mail+"[dkim]\ndomain = \"clinic.example\"\nselector = \"s\"\nkey = \"dkim.pem\"\n", 0o644)
	write(t, filepath.Join(dir, "dkim.pem"), "", 0o644)
	tests := []struct {
		name string
		args string
		want int
		out  string // regular expressions
		errs string
	}{
		{"rules list", "rules list", 0, `(?m)^  us-ssn +SSN +high `, `^$`},
		{"rules list of a file", "rules list good.toml", 0, `(?s)^[^\n]*\n  site-badge [^\n]*\n$`, `^$`},
		{"rules show", "rules show us-ssn", 0, `^us-ssn  SSN, severity high\n`, `^$`},
		{"rules show, unknown", "rules show nosuch", 2, `^$`, `no rule "nosuch"`},
		{"rules lint", "rules lint", 0, `^\d+ rules hold\.\n$`, `site\.mrn`},
		{"rules lint, broken", "rules lint badkey.toml", 1, `^$`, `(?m)^badkey\.toml:6: rules\[0\]\.severitee: .`},
		{"rules lint, gone", "rules lint gone.toml", 2, `^$`, `gone\.toml`},
		{"rules test of a file", "rules test good.toml", 0, `^2 tests hold, in 1 rule\.\n$`, `^$`},
		{"rules test, broken", "rules test badtest.toml", 1, `^$`, `^badtest\.toml:12: rules\[0\]\.tests\.no_match\[0\]: .`},
		{"rules list, broken", "rules list badtest.toml", 2, `^$`, `^stanch: badtest\.toml:12: `},
		{"rules of a broken configuration", "rules list --config wrong.toml", 2, `^$`, `wrong\.toml:2: smtp\.listen`},
		{"config check", "config check --config starter.toml", 0, `starter\.toml holds\.\n$`, `^$`},
		{"config check, wrong", "config check --config wrong.toml", 1, `^$`, `(?m)^wrong\.toml:4: smpt: .*"smtp"`},
		{"config check, unknown rule", "config check --config norule.toml", 1, `^$`, `^norule\.toml:3: policies\[0\]\.all\[0\]\.rule: .`},
		{"config check, broken rules", "config check --config badpack.toml", 1, `^$`, `badtest\.toml:12: rules\[0\]`},
		{"config check, a certificate that is not there", "config check --config nocert.toml", 1, `^$`, `(?m)^nocert\.toml:5: smtp\.tls_cert: .*gone\.pem.*no such file`},
		{"config check, a key that others can read", "config check --config openkey.toml", 1, `^$`, `^openkey\.toml:8: dkim\.key: \S*dkim\.pem: .*chmod 600`},
		{"dkim init over a key", "dkim init --domain clinic.example --out dkim.pem", 2, `^$`, `dkim\.pem is there already`},
		{"doctor, no such Postfix", "doctor --config starter.toml --postconf gone", 2, `^$`, `--postconf: .*gone`},
		{"doctor -q, only warnings", "doctor --config starter.toml -q --only configuration,keys", 0, `^  warn keys .*\n.*\n0 failures, 1 warning\.\n$`, `^$`},
		{"queue list of what is not there", "queue list --config starter.toml --state poison", 0, `^Nothing in the outbox fits\.\n$`, `nothing has been served`},
		{"config check of nothing", "config check", 2, `^$`, `stanch config init`},
		{"config show", "config show --config starter.toml", 0, `(?m)^data_dir = `, `^$`},
		{"serve, wrong", "serve --config wrong.toml", 2, `^$`, `(?m)^stanch: wrong\.toml:2: smtp\.listen\[0\]: .`},
		{"audit verify of nothing", "audit verify --config starter.toml", 2, `^$`, `nothing has been served from it yet`},
		{"unknown command", "bogus", 2, `^$`, `unknown command "bogus"`},
		{"unknown subcommand", "quarantine releas", 2, `^$`, `did you mean "release"`},
		{"no id", "queue show", 2, `^$`, "see `stanch queue show --help`"},
		{"too many words", "bypass status now", 2, `^$`, "see `stanch bypass status --help`"},
		{"extract", "extract in/sub", 0, `^== in/sub/phi\.txt ::  \(text/plain\)\nSSN: `, `^$`},
		{"extract, not read", "extract in/unread.bin", 3, `not read: unsupported`, `^$`},
		{"extract, gone", "extract in/gone in/clean.txt", 2, `(?m)^the meeting is at three$`, `in/gone: `},
		{"version", "version", 0, `^stanch `, `^$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := shell(t, dir, "", strings.Fields(tt.args)...)
			if r.code != tt.want {
				t.Errorf("got exit %d, want %d", r.code, tt.want)
			}
			if !regexp.MustCompile(tt.out).MatchString(r.out) {
				t.Errorf("got %q, want a match of %q", r.out, tt.out)
			}
			if !regexp.MustCompile(tt.errs).MatchString(r.errs) {
				t.Errorf("got %q on standard error, want a match of %q", r.errs, tt.errs)
			}
		})
	}
}

func TestExtractJSONL(t *testing.T) {
	t.Parallel()
	r := shell(t, surveyFolder(t), "", "extract", "--format", "jsonl", "in/mail.eml", "in/unread.bin")
	var got []string
	for line := range strings.Lines(r.out) {
		var p map[string]any
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if want := []string{"gaps", "name", "part", "path", "text", "type"}; !slices.Equal(keysOf(p), want) {
			t.Errorf("got fields %v, want %v", keysOf(p), want)
		}
		got = append(got, p["path"].(string)+" "+p["part"].(string))
	}
	if want := []string{"in/mail.eml HEADER", "in/mail.eml 1", "in/unread.bin "}; !slices.Equal(got, want) || r.code != 3 {
		t.Errorf("got parts %q, exit %d; want %q, 3", got, r.code, want)
	}
}

// TestCommandsWithAndWithoutServe: every command answers the same, whether
// serve runs or not.
func TestCommandsWithAndWithoutServe(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	if items := g.held(); len(items) != 0 || exists(filepath.Join(g.data(), "keys")) {
		t.Errorf("before the first serve: got %v; want nothing, and no data made", items)
	}
	g.start()
	for _, name := range []string{"a.csv", "b.csv", "c.csv"} {
		write(t, filepath.Join(g.share, name), phiFile, 0o644)
	}
	write(t, filepath.Join(g.share, "unread.zip"), "PK\x03\x04 and then nothing of a zip", 0o644)
	eventually(t, "four files are held", func() bool { return len(g.held()) == 4 })

	if r := shell(t, g.dir, "", "serve", "--config", g.config); r.code != 2 || strings.Contains(r.out, "serves") || !strings.Contains(r.errs, "a serve runs on it already") {
		t.Errorf("a second serve: got exit %d, %q, %q; want 2, and word of the first", r.code, r.out, r.errs)
	}
	var held []struct {
		ID, Path string
		Root     string
		Rules    []string
		Causes   []string
	}
	list := g.must("quarantine", "list", "--format", "json")
	if err := json.Unmarshal([]byte(list), &held); err != nil {
		t.Fatal(err)
	}
	byName := map[string]string{}
	for _, h := range held {
		byName[h.Path] = h.ID
		if h.Path == "unread.zip" && !slices.Equal(h.Causes, []string{"corrupt"}) || h.Path != "unread.zip" && !slices.Equal(h.Rules, []string{"us-ssn"}) {
			t.Errorf("%s: held for rules %v and causes %v", h.Path, h.Rules, h.Causes)
		}
		if h.Root != g.share {
			t.Errorf("%s: got root %q, want %q", h.Path, h.Root, g.share)
		}
	}
	gone := "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	work := func(id string) {
		t.Helper()
		if out := g.must("quarantine", "show", id, "--format", "json"); !strings.Contains(out, `"us-ssn"`) || strings.Contains(out, "536-22") {
			t.Errorf("show: got %q, want the rule and no value", out)
		}
		if out := g.must("quarantine", "export", id, "--reveal"); out != phiFile {
			t.Errorf("export: got %q, want %q", out, phiFile)
		}
		g.must("queue", "list")
		g.must("audit", "verify")
		if out := g.must("audit", "export"); !strings.Contains(out, `"kind":"export"`) {
			t.Errorf("audit export: got %q, want the look at the content among it", tail(out, 600))
		}
		for _, args := range [][]string{{"quarantine", "show", gone}, {"quarantine", "release", gone}, {"queue", "show", gone}} {
			if r := shell(t, g.dir, "", append(args, "--config", g.config)...); r.code != 2 || !strings.Contains(r.errs, gone+": no such ") {
				t.Errorf("%v: got exit %d, %q; want 2 and plain words", args, r.code, r.errs)
			}
		}
		g.must("quarantine", "release", id)
		if r := shell(t, g.dir, "", "quarantine", "release", id, "--config", g.config); r.code != 2 || !strings.Contains(r.errs, "not held any more") {
			t.Errorf("a second release: got exit %d, %q", r.code, r.errs)
		}
	}
	work(byName["a.csv"])
	g.stop()
	work(byName["b.csv"])
	g.must("quarantine", "reject", byName["c.csv"])
	for _, name := range []string{"a.csv", "b.csv"} {
		if got := read(t, filepath.Join(g.share, name)); got != phiFile {
			t.Errorf("%s: got %q, want it back as it was", name, got)
		}
	}
	states := map[string]string{}
	for _, it := range g.held("--all") {
		states[it.Path] = it.State
	}
	if states["a.csv"] != "released" || states["b.csv"] != "released" || states["c.csv"] != "rejected" || states["unread.zip"] != "held" {
		t.Errorf("got states %v", states)
	}
}

func TestCommandOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("giving a file away takes root")
	}
	g := newGateway(t, options{})
	g.start()
	g.stop()
	if err := os.Chown(filepath.Join(g.data(), "lock"), 65534, -1); err != nil {
		t.Fatal(err)
	}
	r := shell(t, g.dir, "", "quarantine", "list", "--config", g.config)
	if r.code != 2 || !strings.Contains(r.errs, "belongs to user 65534") {
		t.Errorf("got exit %d, %q; want 2, and whose the folder is", r.code, r.errs)
	}
	users := filepath.Join(g.dir, "users")
	write(t, users, "", 0o600)
	if err := os.Chown(users, 65534, -1); err != nil {
		t.Fatal(err)
	}
	r = shell(t, g.dir, "a long password\n", "smtp-user", "set", "ann", "--users", users)
	if r.code != 2 || !strings.Contains(r.errs, "belongs to user 65534") || read(t, users) != "" {
		t.Errorf("smtp-user: got exit %d, %q; want 2, and a file that serve can still read", r.code, r.errs)
	}
}

// TestCommandWaitsForServe: a command that comes while serve has the folder
// and no socket yet is answered once it has.
func TestCommandWaitsForServe(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{})
	g.start()
	g.stop()
	lock, err := os.OpenFile(filepath.Join(g.data(), "lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	done := make(chan ran, 1)
	go func() { done <- shell(t, g.dir, "", "quarantine", "list", "--format", "json", "--config", g.config) }()
	select {
	case r := <-done:
		t.Fatalf("got exit %d, %q while the folder was locked; want it to wait", r.code, r.errs)
	case <-time.After(time.Second): // a moment in which it would have given up
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.code != 0 || r.out != "[]\n" {
		t.Errorf("got exit %d, %q, %q; want an empty list", r.code, r.out, r.errs)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: "[rules]\npaths = [\"site.toml\"]\n"})
	rules := filepath.Join(g.dir, "site.toml")
	write(t, rules, strings.ReplaceAll(siteRule, "B-", "A-"), 0o644)
	// A badge is no identifier: a policy of its own takes it.
	config := read(t, g.config) + "[[policies]]\nid = \"badges\"\nall = [{ rule = \"site-badge\" }]\naction = \"quarantine\"\n"
	write(t, g.config, config, 0o644)
	g.start()
	if !g.holds("lost: badge A-12345") || g.holds("lost: badge B-12345") {
		t.Fatal("at first: want A-12345 held and B-12345 passed")
	}
	write(t, rules, siteRule, 0o644)
	g.reload("new rules and policies are in force")
	if g.holds("lost: badge A-12345") || !g.holds("lost: badge B-12345") {
		t.Error("after a reload: want B-12345 held and A-12345 passed")
	}

	write(t, rules, strings.Replace(siteRule, "B-", "(C-", 1), 0o644)
	g.reload("site.toml:8: rules[0].patterns[0].regex: ")
	if g.holds("lost: badge A-12345") || !g.holds("lost: badge B-12345") {
		t.Error("after a broken rule: want what was in force to stay")
	}
	write(t, rules, siteRule, 0o644)
	write(t, g.config, config+"[defaults]\non_gap = \"perhaps\"\n", 0o644)
	g.reload("defaults.on_gap: ")
	if !g.holds("lost: badge B-12345") {
		t.Error("after a broken configuration: want what was in force to stay")
	}
	write(t, g.config, strings.Replace(config, g.addr, freeAddr(t), 1), 0o644)
	g.reload("takes a restart: smtp.listen")
	write(t, g.config, strings.ReplaceAll(config, `action = "quarantine"`, `action = "reject"`), 0o644)
	g.reload("new rules and policies are in force")
	if _, err := g.send("ada@clinic.example", outside, "\r\nbadge B-12345\r\n"); err == nil || !strings.Contains(err.Error(), "550") {
		t.Errorf("after a new policy: got %v, want the mail refused", err)
	}
}

// TestSecondServeRefuses: one data folder has one process. Another serve on it,
// with doors of its own or the same, ends and says why; the first goes on.
func TestSecondServeRefuses(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: quietPolicy})
	g.start()
	other := filepath.Join(g.dir, "other.toml")
	write(t, other, strings.Replace(read(t, g.config), g.addr, freeAddr(t), 1), 0o600)
	for _, config := range []string{other, g.config} {
		out, err := exec.Command(stanch, "serve", "--config", config).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "a serve runs on it already") {
			t.Errorf("a second serve: %v: %s", err, out)
		}
		if answer, err := g.send("ada@clinic.example", outside, phiMail); err != nil || !strings.Contains(answer, "Held for review") {
			t.Errorf("the first, afterwards: %q, %v", answer, err)
		}
	}
	if n := len(g.held()); n != 2 {
		t.Errorf("%d held, want 2", n)
	}
	g.must("audit", "verify")
}
