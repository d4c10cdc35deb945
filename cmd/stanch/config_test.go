package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfigCheckExtract: a mistake in the list of passwords is told with the line
// of its key and of the list, and a sandbox that is less than whole is warned of.
func TestConfigCheckExtract(t *testing.T) {
	dir := t.TempDir()
	conf, list := filepath.Join(dir, "stanch.toml"), filepath.Join(dir, "passwords")
	for name, text := range map[string]string{
		conf: "data_dir = \"var\"\n[extract]\npasswords_file = \"passwords\"\nsandbox = \"off\"\n",
		list: "first\n" + strings.Repeat("x", 300) + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, errs, code := stanch(t, "config", "check", "--config", conf)
	want := conf + ":3: extract.passwords_file: " + list + ":2: want a password a line, at most 1,000 of at most 256 bytes, in UTF-8\n"
	if code != 1 || out != "" || !strings.HasSuffix(errs, want) {
		t.Errorf("got exit %d, %q, %q; want %q", code, out, errs, want)
	}
	if warning := "stanch: WARNING: " + conf + ":4: extract.sandbox: \"off\": "; !strings.Contains(errs, warning) {
		t.Errorf("got %q, want %q", errs, warning)
	}
}

// TestDataDirIsAFile: config check and serve say which folder they cannot have, and
// by which key it was named.
func TestDataDirIsAFile(t *testing.T) {
	dir := t.TempDir()
	conf, file := filepath.Join(dir, "stanch.toml"), filepath.Join(dir, "var")
	for name, text := range map[string]string{conf: "\ndata_dir = \"var\"\n[extract]\nsandbox = \"off\"\n[metrics]\nlisten = \"\"\n", file: ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, errs, code := stanch(t, "config", "check", "--config", conf); code != 1 || out != "" || errs != conf+":2: data_dir: want a folder: "+file+" is something else\n" {
		t.Errorf("config check: got exit %d, %q, %q", code, out, errs)
	}
	if _, errs, code := stanch(t, "serve", "--config", conf); code != 2 || !strings.Contains(errs, "data_dir "+file+": want a folder") {
		t.Errorf("serve: got exit %d, %q", code, errs)
	}
}

// TestAgeRecipients: with a public key that was cut off or altered neither config
// check holds nor serve starts.
func TestAgeRecipients(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "stanch.toml")
	const key = "age1jaq964ak34ktatxmvmmwrw7h9hhk42wsvtptzjgwmvzspmxwaulq9g85fk" // nobody's
	for recipient, want := range map[string]int{key: 0, key[:60]: 1, strings.Replace(key, "q9g", "q8g", 1): 1} {
		text := "data_dir = \"var\"\n[extract]\nsandbox = \"off\"\n[[watch]]\npath = \"share\"\nage_recipients = [\"" + recipient + "\"]\n"
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs, code := stanch(t, "config", "check", "--config", conf)
		if code != want || want != 0 && !strings.Contains(errs, "watch[0].age_recipients[0]: ") {
			t.Errorf("config check: %s: got exit %d, %q; want %d", recipient, code, errs, want)
		}
		if want == 0 {
			continue
		}
		if _, errs, code := stanch(t, "serve", "--config", conf); code == 0 || !strings.Contains(errs, "watch[0].age_recipients[0]: ") {
			t.Errorf("serve: %s: got exit %d, %q; want it refused", recipient, code, errs)
		}
	}
}

// TestConfigCheckNeverHolds: a policy that asks for what no rule has is warned of,
// with its line.
func TestConfigCheckNeverHolds(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "stanch.toml")
	const text = "data_dir = \"data\"\n[extract]\nsandbox = \"off\"\n[[site.mrn]]\nregex = 'E[1-9]\\d{6}'\n" +
		"[[policies]]\nid = \"p\"\nall = [{ tag = \"TAG\" }, { type = \"SSN\" }]\naction = \"quarantine\"\n"
	for tag, want := range map[string]int{"health": 0, "healht": 1} {
		if err := os.WriteFile(conf, []byte(strings.Replace(text, "TAG", tag, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs, code := stanch(t, "config", "check", "--config", conf)
		if n := strings.Count(errs, "stanch: WARNING: "+conf+":8: policies[0].all[0].tag: "); code != 0 || n != want {
			t.Errorf("%s: exit %d, warned %d times, want %d: %q", tag, code, n, want, errs)
		}
	}
}

// TestConfigCheckReviewersOnly: what takes a key away for good is told, by its
// line, and is no mistake.
func TestConfigCheckReviewersOnly(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "stanch.toml")
	const key = "age1jaq964ak34ktatxmvmmwrw7h9hhk42wsvtptzjgwmvzspmxwaulq9g85fk" // nobody's
	for only, want := range map[string]int{"true": 1, "false": 0} {
		text := "data_dir = \"data\"\n[extract]\nsandbox = \"off\"\n[vault]\nreviewers = [\"" + key + "\"]\nreviewers_only = " + only + "\n"
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs, code := stanch(t, "config", "check", "--config", conf)
		if n := strings.Count(errs, "stanch: NOTE: "+conf+":6: vault.reviewers_only: "); code != 0 || n != want {
			t.Errorf("%s: exit %d, told %d times, want %d: %q", only, code, n, want, errs)
		}
	}
}

// TestConfigCheckProvedTLS: where no route has servers prove whose they are, it is
// told that a way which asks for that is never chosen.
func TestConfigCheckProvedTLS(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "stanch.toml")
	for hop, want := range map[string]int{
		"next_hop = \"mx\"\nnext_hop_tls = \"mta-sts\"":                   0,
		"next_hop = \"127.0.0.1:2526\"\nnext_hop_tls = \"verified\"":      1, // a smart host
		"next_hop = \"127.0.0.1:2526\"\nnext_hop_tls = \"opportunistic\"": 1,
	} {
		text := "data_dir = \"data\"\n[extract]\nsandbox = \"off\"\n[encrypt.tls]\ndomains = [\"*\"]\n[smtp]\nhostname = \"gw.example\"\n" + hop + "\n"
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs, code := stanch(t, "config", "check", "--config", conf)
		if n := strings.Count(errs, "stanch: NOTE: "+conf+":5: encrypt.tls.domains: "); code != 0 || n != want {
			t.Errorf("%s: exit %d, told %d times, want %d: %q", hop, code, n, want, errs)
		}
	}
}

// TestConfigCheckSecrets: a secret of a receiver of events that others can read,
// that is empty or is none is told with the line of its key, and doctor says so.
func TestConfigCheckSecrets(t *testing.T) {
	dir := t.TempDir()
	conf, secret := filepath.Join(dir, "stanch.toml"), filepath.Join(dir, "secret")
	text := "data_dir = \"var\"\n[extract]\nsandbox = \"off\"\n[[siem]]\nname = \"desk\"\nurl = \"https://siem.example/\"\nsecret_file = \"secret\"\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const good = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"
	for name, tc := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"good":      {good, 0o600, ""},
		"open":      {good, 0o640, "a file that its owner alone may read"},
		"empty":     {"\n", 0o600, "a file with the secret in it"},
		"no secret": {"hunter2\n", 0o600, "whsec_"},
	} {
		if err := os.WriteFile(secret, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(secret, tc.mode); err != nil {
			t.Fatal(err)
		}
		_, errs, code := stanch(t, "config", "check", "--config", conf)
		if want := conf + ":7: siem[0].secret_file: expected " + tc.want; (code == 0) != (tc.want == "") || tc.want != "" && !strings.Contains(errs, want) || strings.Contains(errs, "hunter2") {
			t.Errorf("%s: got exit %d, %q", name, code, errs)
		}
		out, _, code := stanch(t, "doctor", "--only", "secrets", "--config", conf)
		if (code == 0) != (tc.want == "") || !strings.Contains(out, tc.want) {
			t.Errorf("%s: doctor: exit %d, %q", name, code, out)
		}
	}
}
