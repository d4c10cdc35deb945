package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/BurntSushi/toml"
)

//go:embed stanch.toml.tmpl
var configTemplate string

// prepare makes dir with a share, a maildir and a configuration, and says how
// the demo goes on. What is there stays as it is.
func prepare(out io.Writer, dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	share, maildir, config := filepath.Join(abs, "share"), filepath.Join(abs, "maildir"), filepath.Join(abs, "stanch.toml")
	fmt.Fprintln(out, "Once it serves, run `make demo` in a second terminal. Ctrl-C ends it.")
	for _, d := range []string{abs, share, maildir} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(config, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// Every JSON string is a TOML basic string.
	quote := func(s string) (string, error) { b, err := json.Marshal(s); return string(b), err }
	t, err := template.New("stanch.toml").Funcs(template.FuncMap{"toml": quote}).Parse(configTemplate)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	err = t.Execute(f, map[string]string{
		"Config":  filepath.Join(dir, "stanch.toml"),
		"Data":    filepath.Join(abs, "data"),
		"NextHop": "maildir:" + maildir,
		"Share":   share,
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Fprintln(out, "Wrote", filepath.Join(dir, "stanch.toml"))
	return nil
}

// site is what the demo needs to know of the configuration.
type site struct {
	config  string // path, as given
	smtp    string // host:port
	metrics string // host:port
	maildir string
	share   string
}

// load reads the configuration in dir. It may have been edited; what the demo
// cannot do without is an error that says so.
func load(dir string) (site, error) {
	s := site{config: filepath.Join(dir, "stanch.toml")}
	var c struct {
		SMTP struct {
			Listen  []string `toml:"listen"`
			NextHop string   `toml:"next_hop"`
		} `toml:"smtp"`
		Watch []struct {
			Path string `toml:"path"`
		} `toml:"watch"`
		Metrics struct {
			Listen string `toml:"listen"`
		} `toml:"metrics"`
	}
	if _, err := toml.DecodeFile(s.config, &c); errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("no %s: start `make run` in another terminal", s.config)
	} else if err != nil {
		return s, err
	}
	maildir, ok := strings.CutPrefix(c.SMTP.NextHop, "maildir:")
	switch {
	case len(c.SMTP.Listen) == 0 || c.Metrics.Listen == "" || len(c.Watch) == 0:
		return s, fmt.Errorf("%s: want smtp.listen, metrics.listen and a [[watch]]", s.config)
	case !ok:
		return s, fmt.Errorf("%s: smtp.next_hop: want a maildir, where the demo looks for what passed", s.config)
	}
	s.smtp, s.metrics, s.maildir, s.share = c.SMTP.Listen[0], c.Metrics.Listen, maildir, c.Watch[0].Path
	return s, nil
}
