package doctor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stanch-dlp/stanch/internal/doctor"
	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/smtp"
	"github.com/stanch-dlp/stanch/smtp/resolve"
	"github.com/stanch-dlp/stanch/smtp/route"
	"github.com/stanch-dlp/stanch/watch"
)

func one(c doctor.Check) []doctor.Finding { return doctor.Run(context.Background(), []doctor.Check{c}) }

// has reports whether a finding of that level speaks of all words.
func has(fs []doctor.Finding, level doctor.Level, words ...string) bool {
	for _, f := range fs {
		text := f.Object + " " + f.Found + " " + f.Remedy
		ok := f.Level == level
		for _, w := range words {
			ok = ok && strings.Contains(text, w)
		}
		if ok {
			return true
		}
	}
	return false
}

func TestRunKeepsOrderAndNames(t *testing.T) {
	say := func(what string) doctor.Check {
		return doctor.Check{Name: what, Run: func(context.Context) []doctor.Finding {
			return []doctor.Finding{{Object: what, Level: doctor.OK}}
		}}
	}
	fs := doctor.Run(t.Context(), []doctor.Check{say("a"), say("b"), say("c")})
	if len(fs) != 3 || fs[0].Check != "a" || fs[1].Check != "b" || fs[2].Check != "c" || doctor.Worst(fs) != doctor.OK {
		t.Errorf("got %+v", fs)
	}
	var zero doctor.Finding
	if zero.Level != doctor.Fail || doctor.Worst([]doctor.Finding{{Level: doctor.OK}, zero}) != doctor.Fail {
		t.Error("what nobody filled in is not a failure")
	}
}

func TestRunBoundsAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		fs := doctor.Run(t.Context(), []doctor.Check{
			{Name: "hangs", Within: time.Second, Run: func(context.Context) []doctor.Finding { <-release; return nil }},
			{Name: "breaks", Run: func(context.Context) []doctor.Finding { panic("it") }},
			{Name: "ends", Run: func(ctx context.Context) []doctor.Finding {
				<-ctx.Done()
				return []doctor.Finding{{Level: doctor.Warn, Found: "late"}}
			}},
			{Name: "many", Run: func(context.Context) []doctor.Finding { return make([]doctor.Finding, 1000) }},
		})
		if len(fs) != 204 || !has(fs[203:], doctor.Warn, "and 800 more", "Mend") || !has(fs[:1], doctor.Fail, "did not end within 1s") || !has(fs[1:2], doctor.Fail, "broke") || !has(fs[2:3], doctor.Warn, "late") {
			t.Errorf("got %d findings, %+v", len(fs), fs[:min(len(fs), 3)])
		}
	})
}

func TestClock(t *testing.T) {
	synced := func() (doctor.ClockState, error) { return doctor.ClockState{Synchronised: true}, nil }
	for name, tc := range map[string]struct {
		kernel func() (doctor.ClockState, error)
		level  doctor.Level
		word   string
	}{
		"synchronised": {synced, doctor.OK, "synchronised"},
		"not":          {func() (doctor.ClockState, error) { return doctor.ClockState{}, nil }, doctor.Warn, "chrony"},
		"not told":     {func() (doctor.ClockState, error) { return doctor.ClockState{}, errors.New("denied") }, doctor.Warn, "does not tell"},
	} {
		t.Run(name, func(t *testing.T) {
			if fs := one(doctor.Clock(tc.kernel, "")); !has(fs, tc.level, tc.word) {
				t.Errorf("got %+v", fs)
			}
		})
	}
}

// TestClockThatIsMoved: what is within the bound is no finding, what is past it
// is, in either direction.
func TestClockThatIsMoved(t *testing.T) {
	const sample = 500 * time.Millisecond
	for off, level := range map[time.Duration]doctor.Level{
		0: doctor.OK, doctor.MostSlew: doctor.OK, -doctor.MostSlew: doctor.OK,
		doctor.MostSlew + 1: doctor.Warn, -doctor.MostSlew - 1: doctor.Warn, -time.Hour: doctor.Warn,
	} {
		if f := doctor.ClockMoved(time.Now(), sample, sample+off); f.Level != level {
			t.Errorf("moved by %v: got %+v", off, f)
		}
	}
	file := filepath.Join(t.TempDir(), "newest")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synced := func() (doctor.ClockState, error) { return doctor.ClockState{Synchronised: true}, nil }
	for ahead, level := range map[time.Duration]doctor.Level{
		-time.Hour: doctor.OK, 0: doctor.OK, doctor.MostAhead: doctor.OK, // some of it has passed by then
		doctor.MostAhead + 30*time.Second: doctor.Fail, 24 * time.Hour: doctor.Fail,
	} {
		at := time.Now().Add(ahead)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
		word := "none from the future"
		if level == doctor.Fail {
			word = "set back"
		}
		if fs := one(doctor.Clock(synced, file)); !has(fs, level, word) {
			t.Errorf("written %v from now: got %+v", ahead, fs)
		}
	}
	if fs := one(doctor.Clock(synced, file+".absent")); !has(fs, doctor.OK, "nothing was written") {
		t.Errorf("nothing written: got %+v", fs)
	}
}

// names is a small domain name system.
type names struct {
	forward, back map[string][]string
	err           error
}

func (n names) LookupHost(_ context.Context, h string) ([]string, error) { return n.look(n.forward, h) }
func (n names) LookupAddr(_ context.Context, a string) ([]string, error) { return n.look(n.back, a) }
func (n names) look(in map[string][]string, key string) ([]string, error) {
	if n.err != nil {
		return nil, n.err
	}
	if v, ok := in[key]; ok {
		return v, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: key, IsNotFound: true}
}

func TestDNS(t *testing.T) {
	c := smtp.Config{Hostname: "gw.example", NextHop: "mx.example:25"}
	whole := names{forward: map[string][]string{"gw.example": {"192.0.2.1"}, "mx.example": {"192.0.2.2"}}, back: map[string][]string{"192.0.2.1": {"GW.example."}}}
	noPTR := names{forward: whole.forward}
	otherPTR := names{forward: whole.forward, back: map[string][]string{"192.0.2.1": {"host7.provider.example."}}}
	noHop := names{forward: map[string][]string{"gw.example": {"192.0.2.1"}}, back: whole.back}
	for name, tc := range map[string]struct {
		r     names
		level doctor.Level
		words []string
	}{
		"whole":        {whole, doctor.OK, []string{"and back"}},
		"no PTR":       {noPTR, doctor.Warn, []string{"does not resolve back", "PTR"}},
		"another PTR":  {otherPTR, doctor.Warn, []string{"host7.provider.example", "PTR"}},
		"no such name": {names{}, doctor.Warn, []string{"gw.example does not resolve"}},
		"no next hop":  {noHop, doctor.Fail, []string{"smtp.next_hop does not resolve"}},
		"no answer":    {names{err: &net.DNSError{Err: "timeout", IsTimeout: true}}, doctor.Fail, []string{"does not answer", "resolv.conf"}},
	} {
		t.Run(name, func(t *testing.T) {
			if fs := one(doctor.DNS(c, tc.r, nil)); !has(fs, tc.level, tc.words...) {
				t.Errorf("got %+v", fs)
			}
		})
	}
}

// machine makes a /proc and a /sys/fs/cgroup.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRelay(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*smtp.Config)
		milters []string
		level   doctor.Level
		words   []string
	}{
		"loopback alone":          {nil, nil, doctor.OK, []string{"smtp.networks"}},
		"no door":                 {func(c *smtp.Config) { c.Listen = nil }, nil, doctor.OK, []string{"nobody relays"}},
		"a hospital's own":        {func(c *smtp.Config) { c.Networks = []string{"10.0.0.0/8", "172.16.0.0/12", "192.0.2.0/24", "fd00::/8"} }, nil, doctor.OK, nil},
		"everybody":               {func(c *smtp.Config) { c.Networks = []string{"0.0.0.0/0"} }, nil, doctor.Fail, []string{"smtp.networks", "0.0.0.0/0", "without a login", "List"}},
		"everybody in two halves": {func(c *smtp.Config) { c.Networks = []string{"0.0.0.0/1", "128.0.0.0/1"} }, nil, doctor.Fail, []string{"0.0.0.0/1"}},
		"everybody by IPv6":       {func(c *smtp.Config) { c.Networks = []string{"2000::/3"} }, nil, doctor.Fail, []string{"2000::/3"}},
		"a provider's":            {func(c *smtp.Config) { c.Networks = []string{"40.92.0.0/15"} }, nil, doctor.Warn, []string{"40.92.0.0/15", "more of the internet"}},
		"behind a provider's NAT": {func(c *smtp.Config) { c.Networks = []string{"100.64.0.0/10"} }, nil, doctor.OK, nil},
		"proxies from everywhere": {func(c *smtp.Config) {
			c.Doors, c.ProxyFrom = []smtp.Door{{Listen: ":26", Proxy: true}}, []string{"::/0"}
		}, nil, doctor.Fail, []string{"smtp.proxy_from"}},
		"proxies of no door":      {func(c *smtp.Config) { c.ProxyFrom = []string{"::/0"} }, nil, doctor.OK, nil},
		"filters from everywhere": {func(c *smtp.Config) { c.XClientFrom = []string{"0.0.0.0/0"} }, nil, doctor.Fail, []string{"smtp.xclient_from"}},
		"milters from everywhere": {nil, []string{"0.0.0.0/0"}, doctor.Fail, []string{"milter.networks"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := smtp.Default()
			c.Listen = []string{":25"}
			if tc.change != nil {
				tc.change(&c)
			}
			got := one(doctor.Relay(c, tc.milters))
			if doctor.Worst(got) != tc.level || !has(got, tc.level, tc.words...) {
				t.Errorf("got %+v, want %v and %q", got, tc.level, tc.words)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	root := t.TempDir()
	for _, d := range []string{"a", "a/b", "c"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	need := doctor.Need{SMTP: smtp.Default(), Watch: []watch.Config{{Path: root}}, Extract: extract.Config{MaxMemory: 384 << 20}, Children: 2, Memory: 128 << 20}
	need.SMTP.Listen = []string{"127.0.0.1:25"}
	fine := map[string]string{
		"proc/meminfo": "MemFree: 1 kB\nMemTotal: 16777216 kB\n", "proc/self/cgroup": "0::/a/b\n", "sys/a/b/memory.max": "max\n",
		"proc/sys/net/core/somaxconn": "4096\n", "proc/sys/fs/inotify/max_user_watches": "1000\n", "proc/sys/fs/inotify/max_user_instances": "128\n",
	}
	for name, tc := range map[string]struct {
		change map[string]string
		files  uint64
		level  doctor.Level
		words  []string
	}{
		"fine":            {nil, 65536, doctor.OK, []string{"4 folders"}},
		"few files":       {nil, 1024, doctor.Fail, []string{"1024 allowed", "LimitNOFILE="}},
		"control group":   {map[string]string{"sys/a/memory.max": "536870912\n"}, 65536, doctor.Fail, []string{"this control group has 512.0 MiB", "extract.workers"}},
		"tight":           {map[string]string{"proc/meminfo": "MemTotal: 1258291 kB\n"}, 65536, doctor.Warn, []string{"this machine has 1.2 GiB"}},
		"few watches":     {map[string]string{"proc/sys/fs/inotify/max_user_watches": "3\n"}, 65536, doctor.Fail, []string{"3 allowed, 4 folders", "sysctl -w fs.inotify.max_user_watches=8"}},
		"just enough":     {map[string]string{"proc/sys/fs/inotify/max_user_watches": "5\n"}, 65536, doctor.Warn, []string{"other programs share"}},
		"few instances":   {map[string]string{"proc/sys/fs/inotify/max_user_instances": "4\n"}, 65536, doctor.Warn, []string{"max_user_instances=129"}},
		"short backlog":   {map[string]string{"proc/sys/net/core/somaxconn": "128\n"}, 65536, doctor.Warn, []string{"somaxconn=1024"}},
		"nothing to read": {map[string]string{"proc/meminfo": ""}, 65536, doctor.Warn, []string{"could not be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			for k, v := range fine {
				files[k] = v
			}
			for k, v := range tc.change {
				files[k] = v
			}
			dir := machine(t, files)
			fs := one(doctor.Limits(need, tc.files, "the running serve", filepath.Join(dir, "proc"), filepath.Join(dir, "sys")))
			if !has(fs, tc.level, tc.words...) {
				t.Errorf("got %+v", fs)
			}
			if tc.level == doctor.OK && doctor.Worst(fs) != doctor.OK {
				t.Errorf("not sound: %+v", fs)
			}
		})
	}
}

func TestPostconf(t *testing.T) {
	p := doctor.ParsePostconf(strings.Join([]string{
		"message_size_limit = 10240000", "relayhost =", "127.0.0.1:10026/inet/content_filter = ", "smtp/inet/smtpd_proxy_filter = [127.0.0.1]:2525",
		"smtp       inet  n       -       y       -       -       smtpd", "127.0.0.1:10026 inet n - n - - smtpd", "pickup unix n - y 60 1 pickup", "rubbish"}, "\n"))
	if p.Main["message_size_limit"] != "10240000" || p.Override["smtp/inet"]["smtpd_proxy_filter"] != "[127.0.0.1]:2525" {
		t.Errorf("got %+v", p)
	}
	if v, ok := p.Override["127.0.0.1:10026/inet"]["content_filter"]; !ok || v != "" {
		t.Errorf("an empty override is %q, %v", v, ok)
	}
	if strings.Join(p.Services, " ") != "smtp/inet 127.0.0.1:10026/inet" {
		t.Errorf("services %q", p.Services)
	}
}

func TestPostfix(t *testing.T) {
	c := smtp.Default()
	c.Listen, c.NextHop = []string{"127.0.0.1:2525"}, "127.0.0.1:10026"
	usual := "message_size_limit = 10240000\nmilter_default_action = tempfail\nsmtp_data_done_timeout = 600s\nsmtpd_proxy_timeout = 570s\nmilter_content_timeout = 300s\n"
	behind := "127.0.0.1:10026 inet n - n - - smtpd\n"
	both := "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n"
	filter := "content_filter = smtp:[127.0.0.1]:2525\n" + behind + "127.0.0.1:10026/inet/content_filter = \n"
	roomy := "127.0.0.1:10026/inet/message_size_limit = 0\n127.0.0.1:10026/inet/cleanup_service_name = back\nback/unix/message_size_limit = 0\n"
	for name, tc := range map[string]struct {
		text  string
		level doctor.Level
		words []string
	}{
		"content filter":       {"content_filter = smtp:[127.0.0.1]:2525\n" + behind + "127.0.0.1:10026/inet/content_filter = \n", doctor.OK, []string{"after its queue"}},
		"content filter again": {"content_filter = smtp:[127.0.0.1]:2525\n" + behind, doctor.Fail, []string{"to stanch again", "postconf -P '127.0.0.1:10026/inet/content_filter='"}},
		"relay and behind":     {"relayhost = [localhost]:2525\n" + behind, doctor.Fail, []string{"to stanch again", "next_hop"}},
		"milter that lets by":  {"smtpd_milters = inet:127.0.0.1:9900\nmilter_default_action = accept\n", doctor.Fail, []string{"leaves unread", "milter_default_action = tempfail"}},
		"milter":               {"smtpd_milters = inet:127.0.0.1:9900, unix:/x\n", doctor.OK, []string{"Postfix waits 5m0s for word"}},
		"hasty milter":         {"smtpd_milters = inet:127.0.0.1:9900\nmilter_content_timeout = 20s\n", doctor.Fail, []string{"waits 20s", "milter_content_timeout = 300s"}},
		"milter by socket":     {"non_smtpd_milters = unix:/run/stanch/milter.sock\n", doctor.OK, []string{"local mail"}},
		"milter of its own":    {"smtpd_milters = { inet:127.0.0.1:9900, default_action=accept }\n", doctor.Fail, []string{"default_action", "leaves unread", "smtpd_milters"}},
		"own in braces":        {"smtpd_milters = unix:/x, { inet:127.0.0.1:9900, { default_action = accept } }\n", doctor.Fail, []string{"leaves unread"}},
		"own patience":         {"smtpd_milters = { inet:127.0.0.1:9900, content_timeout=5s }\n", doctor.Fail, []string{"waits 5s", "content_timeout"}},
		"another's action":     {"smtpd_milters = { unix:/x, default_action=accept }, { inet:127.0.0.1:9900 }\n", doctor.OK, []string{"is tempfail"}},
		"own over all":         {"milter_default_action = accept\nsmtpd_milters = { inet:127.0.0.1:9900 default_action=tempfail }\n", doctor.OK, []string{"is tempfail"}},
		"round the milter":     {"smtpd_milters = inet:127.0.0.1:9900\n" + both + "submission/inet/smtpd_milters = \n", doctor.Warn, []string{"submission/inet", "goes round stanch", "postconf -P 'submission/inet/smtpd_milters=inet:127.0.0.1:9900'"}},
		"milters overridden":   {"smtpd_milters = inet:127.0.0.1:9900\n" + both + "submission/inet/receive_override_options = no_milters\n", doctor.Warn, []string{"submission/inet", "goes round stanch"}},
		"round the proxy":      {both + behind + "smtp/inet/smtpd_proxy_filter = 127.0.0.1:2525\n", doctor.Warn, []string{"submission/inet", "goes round stanch", "submission/inet/smtpd_proxy_filter=127.0.0.1:2525"}},
		"maps that disable":    {"smtpd_milters = inet:127.0.0.1:9900\nsmtpd_milter_maps = cidr:/etc/postfix/nomilter\n" + both, doctor.Warn, []string{"smtpd_milter_maps", "DISABLE", "postconf -e 'smtpd_milter_maps ='", "cidr:/etc/postfix/nomilter"}},
		"maps of one service":  {"smtpd_milters = inet:127.0.0.1:9900\nsubmission/inet/smtpd_milter_maps = cidr:/x\n" + both, doctor.Warn, []string{"submission/inet smtpd_milter_maps", "postconf -P 'submission/inet/smtpd_milter_maps='"}},
		"no room behind":       {filter + both, doctor.Warn, []string{"127.0.0.1:10026/inet message_size_limit", "come back", "cleanup_service_name=stanch-cleanup"}},
		"room in smtpd alone":  {filter + both + "127.0.0.1:10026/inet/message_size_limit = 0\n", doctor.Warn, []string{"come back", "9.8 MiB is the limit"}},
		"room behind":          {filter + both + roomy, doctor.OK, []string{"never too large"}},
		"less in front":        {filter + both + "smtp/inet/message_size_limit = 10000000\nsubmission/inet/message_size_limit = 10000000\n", doctor.OK, []string{"never too large"}},
		"less in front of one": {filter + both + "smtp/inet/message_size_limit = 10000000\n", doctor.Warn, []string{"come back"}},
		"any size in front":    {filter + both + "smtp/inet/message_size_limit = 0\n127.0.0.1:10026/inet/message_size_limit = 90000000\n", doctor.Warn, []string{"come back"}},
		"no room of the proxy": {both + behind + "smtp/inet/smtpd_proxy_filter = 127.0.0.1:2525\n", doctor.Warn, []string{"come back"}},
		"local only":           {"relayhost = [127.0.0.1]:2525\ndefault_transport = error\n", doctor.Fail, []string{"nothing leaves", "postconf -X default_transport"}},
		"another hop":          {"relayhost = [127.0.0.1]:2525\ndefault_transport = smtp:[mx.example]\n", doctor.Fail, []string{"elsewhere"}},
		"another client":       {"relayhost = [127.0.0.1]:2525\ndefault_transport = smtp\n", doctor.OK, []string{"sends what leaves through stanch"}},
		"minutes":              {"relayhost = [127.0.0.1]:2525\nsmtp_data_done_timeout = 1m\n", doctor.Fail, []string{"waits 1m0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := doctor.Doors{SMTP: c, Milters: []string{"127.0.0.1:9900", "/run/stanch/milter.sock"}}
			fs := one(doctor.Postfix(d, func(context.Context) (doctor.Postconf, error) { return doctor.ParsePostconf(usual + tc.text), nil }))
			if !has(fs, tc.level, tc.words...) {
				t.Errorf("got %+v", fs)
			}
		})
	}
}

// TestPostfixAllThrough: where each smtpd hands its mail to stanch in some way,
// nothing goes round it; neither does what relayhost leads there.
func TestPostfixAllThrough(t *testing.T) {
	c := smtp.Default()
	c.Listen, c.NextHop = []string{"127.0.0.1:2525"}, "127.0.0.1:10026"
	services := "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n127.0.0.1:10026 inet n - n - - smtpd\n"
	for name, text := range map[string]string{
		"maps besides": "smtpd_milters = inet:127.0.0.1:9900\nsmtpd_milter_maps = cidr:/x\ncontent_filter = smtp:[127.0.0.1]:2525\n127.0.0.1:10026/inet/content_filter = \n",
		"maps behind":  "smtp/inet/smtpd_proxy_filter = 127.0.0.1:2525\nsubmission/inet/smtpd_proxy_filter = 127.0.0.1:2525\n127.0.0.1:10026/inet/smtpd_milter_maps = cidr:/x\n",
		"other maps":   "smtpd_milters = unix:/another\nsmtpd_milter_maps = cidr:/x\nrelayhost = [127.0.0.1]:2525\n",
		"by main.cf":   "smtpd_milters = inet:127.0.0.1:9900\n127.0.0.1:10026/inet/smtpd_milters = \n",
		"one by one":   "smtp/inet/smtpd_proxy_filter = 127.0.0.1:2525\nsubmission/inet/smtpd_proxy_filter = 127.0.0.1:2525\n",
		"two ways":     "smtp/inet/smtpd_proxy_filter = 127.0.0.1:2525\nsubmission/inet/smtpd_milters = { inet:127.0.0.1:9900 }\n",
		"by relayhost": "relayhost = [127.0.0.1]:2525\nsmtp/inet/smtpd_milters = inet:127.0.0.1:9900\n",
	} {
		d := doctor.Doors{SMTP: c, Milters: []string{"127.0.0.1:9900"}}
		for _, f := range one(doctor.Postfix(d, func(context.Context) (doctor.Postconf, error) { return doctor.ParsePostconf(services + text), nil })) {
			if strings.Contains(f.Found, "goes round") || strings.Contains(f.Found, "DISABLE") {
				t.Errorf("%s: got %+v", name, f)
			}
		}
	}
}

// TestPostfixOfDoors: a door of [[smtp.doors]] is a mail door too.
func TestPostfixOfDoors(t *testing.T) {
	nothing := func(context.Context) (doctor.Postconf, error) { return doctor.ParsePostconf("relayhost = \n"), nil }
	c := smtp.Default()
	if fs := one(doctor.Postfix(doctor.Doors{SMTP: c}, nothing)); !has(fs, doctor.OK, "none of stanch's") {
		t.Errorf("without a door: got %+v", fs)
	}
	c.Doors = []smtp.Door{{Listen: "192.0.2.1:2525"}}
	if fs := one(doctor.Postfix(doctor.Doors{SMTP: c}, nothing)); !has(fs, doctor.Warn, "sends nothing through stanch", "relayhost = [192.0.2.1]:2525") {
		t.Errorf("with a door: got %+v", fs)
	}
}

// root answers for the root zone.
type root struct {
	proved bool
	err    error
}

func (r root) TXT(context.Context, string) ([]string, resolve.Meta, error) {
	return nil, resolve.Meta{Proved: r.proved}, r.err
}

func TestDNSForDANE(t *testing.T) {
	dane := smtp.Config{Resolver: "127.0.0.1:53", Routes: []smtp.Route{{Name: "all", NextHops: []string{"mx"}, TLS: smtp.TLSDANE}}}
	without := dane
	without.Resolver = ""
	plain := smtp.Config{Resolver: "127.0.0.1:53"}
	for name, tc := range map[string]struct {
		c     smtp.Config
		ask   doctor.Prover
		level doctor.Level
		word  string
	}{
		"validates":             {dane, root{proved: true}, doctor.OK, "answers, and validates"},
		"does not validate":     {dane, root{}, doctor.Fail, "AD bit"},
		"does not answer":       {dane, root{err: resolve.ErrFailed}, doctor.Fail, "does not answer"},
		"no resolver":           {without, nil, doctor.Fail, "smtp.resolver = \"127.0.0.1:53\""},
		"nothing asks for that": {plain, root{}, doctor.OK, "nothing asks for that"},
	} {
		t.Run(name, func(t *testing.T) {
			if fs := one(doctor.DNS(tc.c, names{}, tc.ask)); !has(fs, tc.level, "smtp.resolver", tc.word) {
				t.Errorf("got %+v", fs)
			}
		})
	}
}

func TestNextHops(t *testing.T) {
	c := smtp.Config{NextHop: "mx.partner.example:25", NextHopTLS: smtp.TLSRequired, Hostname: "gw.example", MaxMessageSize: 50 << 20}
	far, soon := time.Now().Add(200*24*time.Hour), time.Now().Add(5*24*time.Hour)
	all := []string{"8BITMIME", "SMTPUTF8", "DSN", "STARTTLS", "SIZE"}
	whole := smtp.Offer{Greeting: 220, Name: "mx.partner.example", Extensions: all, TLS: true, Version: tls.VersionTLS13, CertEnds: far}
	offer := func(change func(*smtp.Offer)) smtp.Offer { o := whole; change(&o); return o }
	for name, tc := range map[string]struct {
		mode  string
		o     smtp.Offer
		level doctor.Level
		words []string
	}{
		"verified":              {smtp.TLSVerified, whole, doctor.OK, []string{"TLS 1.3", "proves who it is"}},
		"not asked to prove":    {smtp.TLSRequired, whole, doctor.Warn, []string{"in between", `"verified"`}},
		"proves nothing":        {smtp.TLSRequired, offer(func(o *smtp.Offer) { o.Proof = x509.UnknownAuthorityError{} }), doctor.Warn, []string{"unknown authority"}},
		"does not prove":        {smtp.TLSVerified, offer(func(o *smtp.Offer) { o.Proof = x509.HostnameError{} }), doctor.Fail, []string{"another name", "next_hop_name"}},
		"ends soon":             {smtp.TLSVerified, offer(func(o *smtp.Offer) { o.CertEnds = soon }), doctor.Warn, []string{"ends on"}},
		"TLS fails":             {smtp.TLSOpportunistic, offer(func(o *smtp.Offer) { o.TLS, o.TLSError = false, errors.New("handshake") }), doctor.Fail, []string{"offered and fails"}},
		"TLS is not offered":    {smtp.TLSRequired, offer(func(o *smtp.Offer) { o.TLS = false }), doctor.Fail, []string{"not offered", "no mail passes"}},
		"in the clear":          {smtp.TLSOpportunistic, offer(func(o *smtp.Offer) { o.TLS = false }), doctor.Warn, []string{"in the clear"}},
		"off":                   {smtp.TLSOff, whole, doctor.Warn, []string{"in the clear"}},
		"smaller mail":          {smtp.TLSVerified, offer(func(o *smtp.Offer) { o.Size = 10 << 20 }), doctor.Warn, []string{"up to 10.0 MiB", "max_message_size = 10485760"}},
		"seven bits":            {smtp.TLSVerified, offer(func(o *smtp.Offer) { o.Extensions = []string{"STARTTLS"} }), doctor.Warn, []string{"8BITMIME, SMTPUTF8, DSN"}},
		"calls itself as we do": {smtp.TLSVerified, offer(func(o *smtp.Offer) { o.Name = "GW.example" }), doctor.Warn, []string{"our own name"}},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(context.Context) []route.Asked {
				return []route.Asked{{Route: "default", Host: "mx.partner.example:25", TLS: tc.mode, Offer: tc.o}}
			}
			if fs := one(doctor.NextHops(c, ask, nil)); !has(fs, tc.level, tc.words...) {
				t.Errorf("got %+v", fs)
			}
		})
	}
	down := func(context.Context) []route.Asked {
		return []route.Asked{{Route: "default", Host: "a.example:25", Err: errors.New("smtp: greeting: replied 554")},
			{Route: "default", Host: "b.example:25", TLS: smtp.TLSVerified, Offer: whole}, {Route: "partner", Host: "c.example:25", Err: context.DeadlineExceeded}}
	}
	fs := one(doctor.NextHops(c, down, nil))
	if !has(fs, doctor.Warn, "a.example:25", "replied 554", "another host of smtp.next_hop answers") || !has(fs, doctor.Fail, "c.example:25", "no answer in time", "route partner") {
		t.Errorf("got %+v", fs)
	}
	if fs := one(doctor.NextHops(c, nil, errors.New("no such file"))); !has(fs, doctor.Fail, "no such file") {
		t.Errorf("got %+v", fs)
	}
}

func TestNextHopIsOurselves(t *testing.T) {
	none := func(context.Context) []route.Asked { return nil }
	for listen, want := range map[string]bool{"0.0.0.0:1": true, "127.0.0.1:1": true, "127.0.0.2:1": false, "0.0.0.0:2": false, "[::]:1": true} {
		c := smtp.Config{NextHop: "127.0.0.1:1", Doors: []smtp.Door{{Listen: listen}}}
		if got := has(one(doctor.NextHops(c, none, nil)), doctor.Fail, "round in a circle"); got != want {
			t.Errorf("a door on %s: got %v, want %v", listen, got, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	at := time.Now()
	for name, tc := range map[string]struct {
		s     probe.Status
		level doctor.Level
		word  string
	}{
		"caught":     {probe.Status{Route: "out", LastSent: at, LastCaught: at, Result: probe.Caught}, doctor.OK, "last caught"},
		"passed":     {probe.Status{Route: "out", LastSent: at, Result: probe.Passed, Alarm: true}, doctor.Fail, "bypass status"},
		"missed":     {probe.Status{Route: "out", LastSent: at, Result: probe.Missed, Alarm: true}, doctor.Fail, "goes round stanch"},
		"not sent":   {probe.Status{Route: "out", LastSent: at, Result: probe.NotSent, Alarm: true}, doctor.Fail, "doctor.routes.via"},
		"never sent": {probe.Status{Route: "out", Result: probe.NeverSent}, doctor.Warn, "--send"},
		"the first":  {probe.Status{Route: "out", LastSent: at, Result: probe.OnItsWay}, doctor.Warn, "on its way"},
		"forgotten":  {probe.Status{Route: "out", LastSent: at.Add(-48 * time.Hour), LastCaught: at.Add(-48 * time.Hour), Result: probe.Caught, Next: at.Add(-42 * time.Hour)}, doctor.Warn, "not tried since"},
	} {
		t.Run(name, func(t *testing.T) {
			if fs := one(doctor.Routes(func() ([]probe.Status, error) { return []probe.Status{tc.s}, nil }, true)); !has(fs, tc.level, tc.word) {
				t.Errorf("got %+v", fs)
			}
		})
	}
	if fs := one(doctor.Routes(func() ([]probe.Status, error) { return nil, nil }, true)); !has(fs, doctor.Warn, "[[doctor.routes]]") {
		t.Errorf("no routes: %+v", fs)
	}
}

func TestServing(t *testing.T) {
	for name, tc := range map[string]struct {
		r      *doctor.Running
		locked bool
		level  doctor.Level
		word   string
	}{
		"runs":            {&doctor.Running{PID: 7, Version: "1", Loaded: time.Now()}, true, doctor.OK, "process 7"},
		"another version": {&doctor.Running{Version: "0"}, true, doctor.Warn, "stanch upgrade"},
		"not well":        {&doctor.Running{Version: "1", Failing: []string{"audit"}}, true, doctor.Fail, "audit"},
		"bypass":          {&doctor.Running{Version: "1", Alarms: []string{"bypass"}}, true, doctor.Fail, "stanch bypass end"},
		"hangs":           {nil, true, doctor.Fail, "does not answer"},
		"does not run":    {nil, false, doctor.Warn, "does not run"},
	} {
		t.Run(name, func(t *testing.T) {
			if fs := one(doctor.Serving(tc.r, tc.locked, "1", "")); !has(fs, tc.level, tc.word) {
				t.Errorf("got %+v", fs)
			}
		})
	}
}
