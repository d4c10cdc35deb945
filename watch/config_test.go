package watch_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/watch"
)

func TestValidateAll(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755), os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	at := func(rel string) watch.Config { return watch.Config{Path: filepath.Join(dir, rel)} }
	with := func(f func(*watch.Config)) []watch.Config { c := at("a"); f(&c); return []watch.Config{c} }
	for _, c := range []struct {
		name string
		cfgs []watch.Config
		want string // the key; "" for none
	}{
		{"none", nil, ""},
		{"two apart", []watch.Config{at("a"), at("ab")}, ""},
		{"no path", []watch.Config{{}}, "watch[0].path"},
		{"one inside another", []watch.Config{at("a"), at("a/b")}, "watch[1].path"},
		{"one around another", []watch.Config{at("a/b"), at("x"), at("a")}, "watch[2].path"},
		{"the same by a link", []watch.Config{at("a"), at("link/b")}, "watch[1].path"},
		{"the same, not there yet", []watch.Config{at("later/x"), at("later/./x/")}, "watch[1].path"},
		{"rescan too short", with(func(c *watch.Config) { c.Rescan = dlp.Duration(time.Millisecond) }), "watch[0].rescan"},
		{"max_wait below settle", with(func(c *watch.Config) { c.MaxWait = dlp.Duration(time.Second) }), "watch[0].max_wait"},
		{"too many jobs", with(func(c *watch.Config) { c.Jobs = 65 }), "watch[0].jobs"},
		{"negative folders", with(func(c *watch.Config) { c.MaxFolders = -1 }), "watch[0].max_folders"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := watch.ValidateAll(c.cfgs)
			got := ""
			if ke, ok := errors.AsType[*dlp.KeyError](err); ok {
				got = ke.Key
			} else if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	c := watch.DefaultConfig()
	if c.Settle.D() != 2*time.Second || c.Rescan.D() != 10*time.Minute || c.MaxWait.D() != 10*time.Minute || c.Stub || c.Jobs != 2 || c.MaxFolders != 100_000 {
		t.Errorf("got %+v", c)
	}
	c.Path = "x"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestCountsHaveLabels(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range watch.Counts() {
		if s := c.String(); s == "other" || seen[s] {
			t.Errorf("label %q", s)
		} else {
			seen[s] = true
		}
	}
	if got := watch.Count(200).String(); got != "other" {
		t.Errorf("got %q, want other", got)
	}
	if last := watch.Counts()[len(watch.Counts())-1]; last != watch.CountPanic {
		t.Errorf("the last is %v, want %v", last, watch.CountPanic)
	}
}
