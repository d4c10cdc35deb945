package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
)

// write puts text into a stanch.toml of its own and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stanch.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Load(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sample is every key that checks and scripts set.
const sample = `
data_dir = "var"

[rules]
paths   = ["patterns.d"]

[scan]
enabled = true

[[site.mrn]]
issuer      = "Main campus"
regex       = '''E\d{7}'''
distinctive = true
check       = ""
range       = []

[smtp]
listen      = ["127.0.0.1:2525"]
hostname    = "gw.example"
next_hop    = "127.0.0.1:2526"
next_hop_tls = "opportunistic"
networks    = ["127.0.0.0/8", "::1/128"]
internal_domains = ["clinic.example"]
max_message_size = "40MiB"
scan_timeout = "50s"

[[watch]]
path    = "share"
settle  = "3s"
rescan  = "11m"
stub    = true
age_recipients = ["age1jaq964ak34ktatxmvmmwrw7h9hhk42wsvtptzjgwmvzspmxwaulq9g85fk"]

[[policies]]
id      = "phi"
mode    = "enforce"
where   = { channels = ["mail", "file"], recipients = "external" }
except  = { recipients = ["*@partner.example"], folders = ["share/lab"] }
scope   = "document"
all     = [ { tag = "identifier", confidence = "medium", min_count = 1 },
            { tag = "health" } ]
action  = "quarantine"
notify  = ["sender"]

[encrypt]
order       = ["openpgp", "smime"]
smime_dir   = "keys/smime"
openpgp_dir = "/keys/openpgp"

[defaults]
on_gap   = "reject"
on_image = "gap"
mode     = "monitor"

[console]
listen  = "127.0.0.1:8025"

[metrics]
listen  = "127.0.0.1:9026"
`

func TestLoad(t *testing.T) {
	path := write(t, sample)
	dir := filepath.Dir(path)
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		got, want any
	}{
		{"file", c.File, path},
		{"data_dir", c.DataDir, filepath.Join(dir, "var")},
		{"rules.paths", c.Rules.Paths, []string{filepath.Join(dir, "patterns.d")}},
		{"site.mrn", c.Site.MRN[0].Regex, `E\d{7}`},
		{"smtp.listen", c.SMTP.Listen, []string{"127.0.0.1:2525"}},
		{"smtp.max_message_size", int64(c.SMTP.MaxMessageSize), int64(40 << 20)},
		{"smtp.scan_timeout", c.SMTP.ScanTimeout.D(), 50 * time.Second},
		{"a default of smtp", c.SMTP.MaxRcpts, config.Default().SMTP.MaxRcpts},
		{"watch.path", c.Watch[0].Path, filepath.Join(dir, "share")},
		{"watch.settle", c.Watch[0].Settle.D(), 3 * time.Second},
		{"a default of watch", c.Watch[0].Jobs > 0, true},
		{"policies", len(c.Policies), 1},
		{"policies.where", c.Policies[0].Where.Recipients, policy.Recipients{"external"}},
		{"policies.except", c.Policies[0].Except.Folders, []string{filepath.Join(dir, "share/lab")}},
		{"policies.all", c.Policies[0].All[1], policy.Condition{Tag: "health"}},
		{"defaults", c.Defaults.OnGap + c.Defaults.OnImage + c.Defaults.Mode, "rejectgapmonitor"},
		{"encrypt.order", c.Encrypt.Order, []string{"openpgp", "smime"}},
		{"encrypt.smime_dir", c.Encrypt.SMIMEDir, filepath.Join(dir, "keys/smime")},
		{"encrypt.openpgp_dir", c.Encrypt.OpenPGPDir, "/keys/openpgp"},
		{"console.listen", c.Console.Listen, "127.0.0.1:8025"},
		{"metrics.listen", c.Metrics.Listen, "127.0.0.1:9026"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !reflect.DeepEqual(tt.got, tt.want) {
				t.Errorf("got %v, want %v", tt.got, tt.want)
			}
		})
	}
}

// TestMistakes holds the whole message of each mistake, less the file's name.
func TestMistakes(t *testing.T) {
	const door = "[smtp]\nhostname = \"gw.example\"\n"
	tests := []struct {
		name string
		toml string
		want []string // "LINE: KEY: " and the beginning of what was expected
	}{
		{"nothing", "", nil},
		{"not TOML", "a = \n", []string{"1: a: TOML: "}},
		{"a key twice", "data_dir = 'a'\ndata_dir = 'b'", []string{"2: data_dir: TOML: "}},
		{"too deep", "data_dir = 'a'\nx = " + strings.Repeat("{a=", 50_000), []string{"2: tables and arrays that nest at most 32 deep"}},
		{"unknown key", "\ndatadir = 'x'", []string{`2: datadir: no such key; did you mean "data_dir"?`}},
		{"letters swapped", door + "lsiten = []", []string{`3: smtp.lsiten: no such key; did you mean "listen"?`}},
		{"wrong case", "[SMTP]\nlisten=[]", []string{`1: SMTP: no such key; did you mean "smtp"?`}},
		{"like nothing", "[smtp]\nhostname = \"gw.example\"\nfrobnicate = 1", []string{"3: smtp.frobnicate: no such key; docs/config.md lists them"}},
		{"unknown table, told once", "[kiosk]\na = 1\nb = 2", []string{"1: kiosk: no such key"}},
		{"in the second of two", "[[watch]]\npath='/a'\n[[watch]]\npath='/b'\nstubs=true", []string{`5: watch[1].stubs: no such key; did you mean "stub"?`}},
		{"in an inline table", "[[policies]]\nid='p'\naction='tag'\nall=[{tag='x'},\n  {typ='SSN', tag='y'}]", []string{`5: policies[0].all[1].typ: no such key; did you mean "type"?`}},
		{"not a string", "data_dir = 3", []string{"1: data_dir: a string in quotes"}},
		{"not a list", "[smtp]\nlisten = 'a'", []string{"2: smtp.listen: a list in brackets"}},
		{"not a list of strings", "[rules]\npaths = ['a',\n 2]", []string{"3: rules.paths[1]: a string in quotes"}},
		{"not true or false", "[scan]\nenabled = 'yes'", []string{"2: scan.enabled: true or false"}},
		{"not a number", "[smtp]\nmax_rcpts = '5'", []string{"2: smtp.max_rcpts: a whole number"}},
		{"not a size", "[smtp]\nmax_message_size = 'big'", []string{"2: smtp.max_message_size: a size such as"}},
		{"not a duration", "[smtp]\nscan_timeout = 60", []string{"2: smtp.scan_timeout: a duration such as"}},
		{"not a table", "smtp = 1", []string{"1: smtp: a table, [smtp]"}},
		{"not an array of tables", "[watch]\npath = '/a'", []string{"1: watch: an array of tables, [[watch]]"}},
		{"not recipients", "[[policies]]\nid='p'\naction='tag'\nall=[{tag='x'}]\nwhere={recipients=1}", []string{`5: policies[0].where.recipients: "external"`}},
		{"a value a package does not take", door + "next_hop_tls = 'sure'", []string{"3: smtp.next_hop_tls: off, opportunistic, required, verified, mta-sts or dane"}},
		{"a value of the second policy", "[[policies]]\nid='a'\naction='tag'\nall=[{tag='x'}]\n[[policies]]\nid='b'\naction='hold'\nall=[{tag='x'}]", []string{`7: policies[1].action: "allow"`}},
		{"a missing key is at its table", "\n[[watch]]\nstub=true", []string{"2: watch[0].path: the folder to watch"}},
		{"site", "[[site.mrn]]\nissuer='a'\nregex='('", []string{"3: site.mrn[0].regex: an RE2 expression"}},
		{"a way twice", "[encrypt]\norder=['tls','tls']", []string{"2: encrypt.order[1]: \"smime\""}},
		{"unknown level", "[log]\nlevel='all'", []string{"2: log.level: \"debug\""}},
		{"console", "[console]\nlisten='8025'", []string{"2: console.listen: host:port"}},
		{"passkeys at an address", "[console]\nlisten='127.0.0.1:8025'\nurl='https://192.0.2.1'", []string{"3: console.url: an address by https and a name"}},
		{"passkeys without TLS", "[console]\nlisten='127.0.0.1:8025'\nurl='http://desk.clinic.example'", []string{"3: console.url"}},
		{"notices", "[notify]\nfrom='A <a@b.example>'", []string{"2: notify.from: an address"}},
		{"buffer", "[buffer]\nmemory_each='1GiB'", []string{"1: buffer.memory_all: at least memory_each"}},
		{"no data_dir", "data_dir = ''", []string{"1: data_dir: a folder"}},
		{"a watched vault", "data_dir='/srv/share/var'\n[[watch]]\npath='/srv/share'", []string{"3: watch[0].path: a folder neither inside nor around data_dir"}},
		{"a watched folder in the data folder", "data_dir='/srv'\n[[watch]]\npath='/srv/share'", []string{"3: watch[0].path: a folder neither inside nor around data_dir"}},
		{"all of them, by line", "[log]\nlevel='all'\n[smtp]\nhostnam='x'\nmax_rcpts='5'\n[defaults]\non_gap='x'", []string{
			"2: log.level:", "4: smtp.hostnam:", "5: smtp.max_rcpts: a whole number", "7: defaults.on_gap:"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.toml)
			c, err := config.Load(path)
			if len(tt.want) == 0 {
				if err != nil {
					t.Fatalf("got %v, want none", err)
				}
				return
			}
			if err == nil || c != nil {
				t.Fatalf("got %v and a configuration, want mistakes", err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("got %q, want %q", lines, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], path+":"+want) {
					t.Errorf("got %q, want FILE:%s", lines[i], want)
				}
			}
		})
	}
}

// TestDataDir: where serve is to be found can be told of a file that does not
// hold, and is never guessed.
func TestDataDir(t *testing.T) {
	tests := []struct {
		name, toml string
		want       string // below the file's folder; "": cannot be told
	}{
		{"nothing", "", "var"},
		{"a file that holds", "data_dir = 'd'\n", "d"},
		{"an unknown key and a bad value", "data_dir = 'd'\nx = 1\n[smtp]\nlisten = 3\n", "d"},
		{"no TOML in a table", "# first\ndata_dir = 'd'\n\n[smtp]\nlisten = \n", "d"},
		{"no TOML in a table, and no folder", "\n  [[watch]]\npath = \n", "var"},
		{"no TOML before the tables", "data_dir = \n[smtp]\n", ""},
		{"the key twice", "data_dir = 'a'\ndata_dir = 'b'\n", ""},
		{"too deep in a table", "data_dir = 'd'\n[x]\na = " + strings.Repeat("{a=", 50_000), "d"},
		{"too deep", "data_dir = 'd'\na = " + strings.Repeat("{a=", 50_000), ""},
		{"no string", "data_dir = 3\n", ""},
		{"an empty one", "data_dir = ''\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.toml)
			got, err := config.DataDir(path)
			want := ""
			if tt.want != "" {
				want = filepath.Join(filepath.Dir(path), tt.want)
			}
			if got != want || (err == nil) != (want != "") {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	if _, err := config.DataDir(filepath.Join(t.TempDir(), "absent.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want an error that says there is no such file", err)
	}
}

func TestLoadUnreadable(t *testing.T) {
	if _, err := config.Load(filepath.Join(t.TempDir(), "absent.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want an error that says there is no such file", err)
	}
	if _, err := config.Load(write(t, "# "+strings.Repeat("x", 1<<20))); err == nil {
		t.Error("got none for a huge file, want an error")
	}
}

func TestEmptyIsDefault(t *testing.T) {
	c := load(t, "")
	want := config.Default()
	want.DataDir = filepath.Join(filepath.Dir(c.File), "var")
	if got := config.RestartNeeded(c, &want); got != nil {
		t.Errorf("got other values at %v, want the defaults", got)
	}
	if !reflect.DeepEqual(c.Policy, want.Policy) || len(c.Rules.Paths)+len(c.Site.MRN)+len(c.SMTP.InternalDomains) > 0 {
		t.Errorf("got policies %+v, want the defaults", c.Policy)
	}
	if err := want.Validate(); err != nil {
		t.Errorf("Default: got %v, want no mistake", err)
	}
}

func TestStarter(t *testing.T) {
	c := load(t, string(config.Starter()))
	if !reflect.DeepEqual(c.Policy, policy.Starter()) {
		t.Errorf("got %+v, want the starter policy %+v", c.Policy, policy.Starter())
	}
	if want := "maildir:" + filepath.Join(filepath.Dir(c.File), "var/maildir"); c.SMTP.NextHop != want {
		t.Errorf("got next hop %q, want %q", c.SMTP.NextHop, want)
	}
}

// TestStarterComments holds that what the starter shows in comments loads too, with
// a key for the words that stand for one.
func TestStarterComments(t *testing.T) {
	var b strings.Builder
	for line := range strings.Lines(string(config.Starter())) {
		if rest, ok := strings.CutPrefix(line, "# "); ok && (strings.Contains(rest, " = ") && !strings.Contains(rest, "set mode") || strings.HasPrefix(rest, "[")) {
			line = strings.Replace(rest, "age1...", "age1jaq964ak34ktatxmvmmwrw7h9hhk42wsvtptzjgwmvzspmxwaulq9g85fk", 1)
		}
		b.WriteString(line)
	}
	c := load(t, b.String())
	if len(c.Watch) != 1 || len(c.Site.MRN) != 1 || len(c.Rules.Paths) != 1 {
		t.Errorf("got %d folders, %d numbers, %d rule files, want one of each", len(c.Watch), len(c.Site.MRN), len(c.Rules.Paths))
	}
}

// TestEffective holds that what is shown is what is in force.
func TestEffective(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "every key": sample, "starter": string(config.Starter())} {
		t.Run(name, func(t *testing.T) {
			c := load(t, text)
			shown, err := c.Effective()
			if err != nil {
				t.Fatal(err)
			}
			again := load(t, string(shown))
			if got := config.RestartNeeded(c, again); got != nil {
				t.Errorf("got other values at %v, want the same\n%s", got, shown)
			}
			if !reflect.DeepEqual(again.Policy, c.Policy) || !reflect.DeepEqual(again.Site.MRN, c.Site.MRN) {
				t.Errorf("got other policies or numbers, want the same\n%s", shown)
			}
		})
	}
}

// TestNoSecrets holds what Effective relies on: no key holds a secret.
func TestNoSecrets(t *testing.T) {
	c := load(t, sample)
	shown, err := c.Effective()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(shown)) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, word := range []string{"passw", "passp", "secret", "token", "key"} {
			if strings.Contains(key, word) && !slices.Contains([]string{"tls_key", "next_hop_key", "smime_sign_key", "key", "secret_file", "client_secret_file", "passwords_file", "password_tries", "max_password_tries", "passkey_expiry"}, key) { // paths of files, numbers
				t.Errorf("got key %q, want secrets in files only", key)
			}
		}
	}
}

func TestRestartNeeded(t *testing.T) {
	tests := []struct {
		name string
		toml string
		want []string
	}{
		{"nothing", sample, nil},
		{"data_dir", strings.Replace(sample, `"var"`, `"/other"`, 1), []string{"data_dir"}},
		{"listen", strings.Replace(sample, "2525", "2528", 1), []string{"smtp.listen"}},
		{"metrics and console", strings.NewReplacer("9026", "9027", "8025", "8026").Replace(sample), []string{"console.listen", "metrics.listen"}},
		{"a folder's key", strings.Replace(sample, `"3s"`, `"4s"`, 1), []string{"watch"}},
		{"the next hop", strings.Replace(sample, "2526", "2527", 1), nil},
		{"policies, rules and numbers", strings.NewReplacer(`"quarantine"`, `"reject"`, "patterns.d", "rules.d", "Main", "East", "clinic.example", "other.example").Replace(sample), nil},
	}
	dir := t.TempDir()
	at := func(name, text string) *config.Config {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	running := at("running.toml", sample)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := config.RestartNeeded(running, at("next.toml", tt.toml)); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestContact(t *testing.T) {
	c := load(t, "[smtp]\ncontact = 'privacy@clinic.example'")
	if got, want := c.Notify.Contact, "privacy@clinic.example"; got != want {
		t.Errorf("got %q, want that of refusals, %q", got, want)
	}
	c = load(t, "[smtp]\ncontact = 'privacy@clinic.example'\n[notify]\ncontact = 'ext. 12'")
	if got, want := c.Notify.Contact, "ext. 12"; got != want {
		t.Errorf("got %q, want notify's own, %q", got, want)
	}
}

func TestCheckRules(t *testing.T) {
	path := write(t, "[[policies]]\nid='p'\naction='tag'\nany=[{rule='us-ssn'},\n {rule='us-snn'}]")
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	err = c.CheckRules(func(id dlp.RuleID) bool { return id == "us-ssn" })
	if want := path + ":5: policies[0].any[1].rule: the id of a loaded rule"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := c.CheckRules(func(dlp.RuleID) bool { return true }); err != nil {
		t.Errorf("got %v, want none", err)
	}
	none := config.Default()
	if err := none.CheckRules(func(dlp.RuleID) bool { return false }); err != nil {
		t.Errorf("got %v for the starter, want none", err)
	}
}

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	usual := ""
	if _, err := os.Stat("/etc/stanch/stanch.toml"); err == nil {
		usual = "/etc/stanch/stanch.toml"
	}
	tests := []struct {
		name, flag, env string
		here            bool
		want            string
	}{
		{"nothing", "", "", false, usual},
		{"flag", "a.toml", "b.toml", false, "a.toml"},
		{"environment", "", "b.toml", false, "b.toml"},
		{"here", "", "", true, "stanch.toml"},
		{"environment before here", "", "b.toml", true, "b.toml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.here {
				if err := os.WriteFile("stanch.toml", nil, 0o600); err != nil {
					t.Fatal(err)
				}
				defer os.Remove("stanch.toml")
			}
			got, err := config.Find(tt.flag, tt.env)
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// FuzzLoad holds that no file makes Load panic, that every mistake has a line
// of the file, and that what loads is shown and loads again.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(sample))
	f.Add(config.Starter())
	f.Add([]byte("smtp = 1\nwatch = [1]\n[policies]\n[[defaults]]\nx = [[{}]]"))
	f.Fuzz(func(t *testing.T, src []byte) {
		path := write(t, string(src))
		c, err := config.Load(path)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if strings.HasPrefix(line, path+":0") {
					t.Errorf("got %q, want a line from 1", line)
				}
			}
			return
		}
		shown, err := c.Effective()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(write(t, string(shown))); err != nil {
			t.Errorf("got %v for what is in force, want none\n%s", err, shown)
		}
	})
}

// TestDocuments holds that the examples of docs/policy.md load.
func TestDocuments(t *testing.T) {
	doc, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := strings.Split(string(doc), "```toml\n")[1:]
	if len(examples) == 0 {
		t.Fatal("got no example, want some")
	}
	for _, e := range examples {
		text, _, _ := strings.Cut(e, "```")
		if _, err := config.Load(write(t, text)); err != nil {
			t.Errorf("got %v for\n%s", err, text)
		}
	}
}
