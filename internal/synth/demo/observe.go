package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// held is one line of `stanch quarantine list --format json`.
type held struct {
	ID         string   `json:"id"`
	Channel    string   `json:"channel"`
	State      string   `json:"state"`
	Policy     string   `json:"policy"`
	Rules      []string `json:"rules"`
	Recipients []string `json:"recipients"`
	Path       string   `json:"path"`
	Header     string   `json:"header"`
	Causes     []string `json:"causes"` // of what could not be read
}

// sight is what can be seen of one run from outside.
type sight struct {
	held      map[string]held // by idHeader, or by file name in the run's folder
	delivered map[string]int  // copies in the maildir, by idHeader
	present   map[string]bool // file names still in the run's folder
}

// observer looks from outside: it asks the program, the maildir and the share.
type observer struct {
	site        site
	bin         string
	folder      string // of this run, in the share
	filesBefore int    // files judged before this run
}

// settle looks again and again until every message and file is where it should
// be, or ctx ends; then it says what it saw last. An error means that it could
// not look at all.
func (o *observer) settle(ctx context.Context, ms []message, fs []dropped) (sight, error) {
	tick := time.NewTicker(time.Second) // each look opens held mail, which the audit log notes
	defer tick.Stop()
	for {
		// A look that has begun is finished: its answer is what gets printed.
		last := context.WithoutCancel(ctx)
		seen, settled, err := o.look(last, ms, fs)
		if err != nil {
			return seen, err
		}
		if settled {
			return seen, nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return seen, nil
			}
			return seen, ctx.Err()
		case <-tick.C:
		}
	}
}

// look sees once, and says whether nothing more is to be waited for.
func (o *observer) look(ctx context.Context, ms []message, fs []dropped) (sight, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	judged, err := o.filesJudged(ctx) // first: what is judged now is listed after
	if err != nil {
		return sight{}, false, err
	}
	var s sight
	if s.held, err = o.quarantine(ctx); err != nil {
		return s, false, err
	}
	if s.delivered, err = o.maildir(); err != nil {
		return s, false, err
	}
	s.present = map[string]bool{}
	settled := judged-o.filesBefore >= len(fs)
	for _, f := range fs {
		_, err := os.Lstat(filepath.Join(o.folder, f.name))
		s.present[f.name] = err == nil
		_, taken := s.held[f.name]
		settled = settled && taken == f.taken
	}
	for _, m := range ms {
		_, isHeld := s.held[m.id]
		settled = settled && isHeld == (len(m.held) > 0) && (s.delivered[m.id] > 0) == (len(m.passes) > 0)
	}
	return s, settled, nil
}

// ask runs `stanch quarantine args…` and reads its JSON into v.
func (o *observer) ask(ctx context.Context, v any, args ...string) error {
	args = append(append([]string{"quarantine"}, args...), "--format", "json", "--config", o.site.config)
	cmd := exec.CommandContext(ctx, o.bin, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("quarantine %s: %w", args[1], err)
	}
	return nil
}

// quarantine asks the program for everything it holds and keeps this run's.
func (o *observer) quarantine(ctx context.Context) (map[string]held, error) {
	var all []held
	if err := o.ask(ctx, &all, "list", "--all", "--header", idHeader); err != nil {
		return nil, err
	}
	byName := map[string]held{}
	for _, h := range all {
		key := h.Header
		if h.Channel == "file" {
			var ours bool
			if key, ours = fileOf(h.Path, filepath.Base(o.folder)); !ours {
				continue
			}
		}
		if key != "" {
			byName[key] = h
		}
	}
	return byName, nil
}

// fileOf returns the name of the file if path lies directly in folder.
func fileOf(path, folder string) (string, bool) {
	dir, name := filepath.Split(path)
	return name, filepath.Base(filepath.Clean(dir)) == folder
}

// maildir counts the copies of each of the demo's messages.
func (o *observer) maildir() (map[string]int, error) {
	counts := map[string]int{}
	err := filepath.WalkDir(o.site.maildir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || (d != nil && d.IsDir() && d.Name() == "tmp") {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // moved by a mail program just now
		}
		if err != nil {
			return err
		}
		defer f.Close()
		header, err := textproto.NewReader(bufio.NewReader(io.LimitReader(f, 1<<20))).ReadMIMEHeader()
		if err == nil && header.Get(idHeader) != "" {
			counts[header.Get(idHeader)]++
		}
		return nil // a message whose header does not parse is not one of ours
	})
	return counts, err
}

// filesJudged reads from the metrics how many files the running gateway has
// come to an end with.
func (o *observer) filesJudged(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.site.metrics+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("metrics answer %s", res.Status)
	}
	return sumFiles(io.LimitReader(res.Body, 8<<20))
}

// sumFiles adds up stanch_documents_total of the channel "file".
func sumFiles(r io.Reader) (int, error) {
	sum := 0
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		series, value, _ := strings.Cut(lines.Text(), "} ")
		if !strings.HasPrefix(series, "stanch_documents_total{") || !strings.Contains(series, `channel="file"`) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("metrics: stanch_documents_total: %w", err)
		}
		sum += int(n)
	}
	return sum, lines.Err()
}
