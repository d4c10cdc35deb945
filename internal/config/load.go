package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/policy"
	"github.com/stanch-dlp/stanch/internal/tomlpos"
)

// maxFile is the largest configuration that is read, in bytes. One with a
// thousand policies has a fifth of that.
const maxFile = 1 << 20

// Error is one mistake in a configuration file.
type Error struct {
	File string // as given to Load
	Line int    // from 1; of the table or file around a key that is missing
	Key  string // "watch[1].path"; "" for the file as a whole
	Want string // what was expected
}

// Error returns "FILE:LINE: KEY: what was expected".
func (e *Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Want)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Key, e.Want)
}

// Find returns the file to load: that of the --config flag, else that of
// $STANCH_CONFIG, else ./stanch.toml, else /etc/stanch/stanch.toml, whichever
// of these two exists, else "". A file that was named is returned whether or
// not it exists. An error says that it cannot be told whether a file exists.
func Find(flag, env string) (path string, err error) {
	for _, named := range []string{flag, env} {
		if named != "" {
			return named, nil
		}
	}
	for _, usual := range []string{"stanch.toml", "/etc/stanch/stanch.toml"} {
		_, err := os.Stat(usual)
		if err == nil {
			return usual, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("config: look for a configuration: %w", err)
		}
	}
	return "", nil
}

// Load reads and checks the file at path. Its error is one *Error or several,
// joined in the order of lines; a file that cannot be read is an error that
// wraps the cause. Paths in the file are relative to its folder.
func Load(path string) (*Config, error) {
	src, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("config: read %s: %w", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("config: find the folder of %s: %w", path, err)
	}
	c, mistakes := parse(src, filepath.Dir(abs))
	if len(mistakes) > 0 {
		return nil, in(path, mistakes)
	}
	c.File, c.named = abs, path
	return c, nil
}

// DataDir returns the data folder that the file at path names, whatever else is
// wrong with the file: it is where a running serve is to be found. Of a file
// that is no TOML it reads what stands before the first table. An error says
// that the folder cannot be told.
func DataDir(path string) (string, error) {
	src, err := read(path)
	if err != nil {
		return "", fmt.Errorf("config: read %s: %w", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("config: find the folder of %s: %w", path, err)
	}
	tree, _, mistake := decode(src)
	if mistake != nil {
		if tree, _, mistake = decode(beforeTables(src)); mistake != nil {
			return "", in(path, []*Error{mistake})
		}
	}
	c := Default()
	if named, ok := tree["data_dir"]; ok {
		if c.DataDir, ok = named.(string); !ok || c.DataDir == "" {
			return "", in(path, []*Error{{Line: 1, Key: "data_dir", Want: "a folder"}})
		}
	}
	c.resolve(filepath.Dir(abs))
	return c.DataDir, nil
}

// beforeTables returns the lines of a file before its first table.
func beforeTables(src []byte) []byte {
	end := 0
	for line := range bytes.Lines(src) {
		if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("[")) {
			break
		}
		end += len(line)
	}
	return src[:end]
}

// CheckRules reports each policy that names a rule which known does not know,
// as *Errors, joined in the order of lines. It is apart from Load because the
// rules are loaded after it, and anew on reload.
func (c *Config) CheckRules(known func(dlp.RuleID) bool) error {
	if c.pos == nil {
		return c.Policy.CheckRules(known)
	}
	d := decoder{pos: c.pos}
	d.keyErrors(c.Policy.CheckRules(known))
	return in(c.named, d.byLine())
}

// At returns err, which was found when what a key names was opened, as FILE:LINE:
// KEY: err, and nil for nil. It wraps err.
func (c *Config) At(key string, err error) error {
	switch {
	case err == nil:
		return nil
	case c.pos == nil:
		return fmt.Errorf("%s: %w", key, err)
	}
	return fmt.Errorf("%s:%d: %s: %w", c.named, c.pos.Line(tomlpos.Parse(key)...), key, err)
}

// in joins mistakes as those of the file at path; nil for none.
func in(path string, mistakes []*Error) error {
	errs := make([]error, len(mistakes))
	for i, m := range mistakes {
		m.File = path
		errs[i] = m
	}
	return errors.Join(errs...)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(src) > maxFile {
		err = fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return src, err
}

// parse makes a Config of src, whose relative paths are relative to dir, or
// says all that is wrong with it, by line.
func parse(src []byte, dir string) (*Config, []*Error) {
	tree, pos, mistake := decode(src)
	if mistake != nil {
		return nil, []*Error{mistake}
	}
	c := Default()
	c.Policies = nil // the starter's stand only where the file has none
	d := decoder{pos: pos}
	d.config(tree, &c)
	if len(c.Policies) == 0 {
		c.Policies = policy.Starter().Policies
	}
	c.resolve(dir)
	d.keyErrors(c.Validate())
	if c.Notify.Contact == "" {
		c.Notify.Contact = c.SMTP.Contact // refusals and notices send people to the same place
	}
	c.pos = d.pos
	return &c, d.byLine()
}

// byLine returns the mistakes in the order of lines.
func (d *decoder) byLine() []*Error {
	slices.SortStableFunc(d.mistakes, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return d.mistakes
}

// decode reads src as TOML, with the places of its keys.
func decode(src []byte) (tree map[string]any, pos *tomlpos.Positions, mistake *Error) {
	pos = tomlpos.Index(src)
	if line := pos.Deep(); line > 0 {
		return nil, nil, &Error{Line: line, Want: fmt.Sprintf("tables and arrays that nest at most %d deep", tomlpos.MaxDepth)}
	}
	if err := toml.Unmarshal(src, &tree); err != nil {
		return nil, nil, syntax(err)
	}
	return tree, pos, nil
}

// syntax words what is not TOML at all.
func syntax(err error) *Error {
	pe, ok := errors.AsType[toml.ParseError](err)
	if !ok {
		return &Error{Line: 1, Want: "TOML: " + err.Error()}
	}
	return &Error{Line: max(pe.Position.Line, 1), Key: pe.LastKey, Want: "TOML: " + pe.Message}
}

// keyErrors adds what Validate found, less what stands on a key that could not
// even be read.
func (d *decoder) keyErrors(err error) {
	for _, e := range leaves(err) {
		k, ok := errors.AsType[*dlp.KeyError](e)
		if !ok {
			k = &dlp.KeyError{Want: e.Error()}
		}
		unread := slices.ContainsFunc(d.mistakes, func(m *Error) bool { return m.Key == k.Key || strings.HasPrefix(k.Key, m.Key+"[") })
		if !unread {
			d.add(tomlpos.Parse(k.Key), k.Want)
		}
	}
}

// leaves takes joined errors apart.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, leaves(e)...)
	}
	return all
}
