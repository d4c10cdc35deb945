package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/survey"
)

func (a *app) extractCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "extract [PATH...]", Short: "Print the text that scanning sees, part by part",
		Long: "Print the text that scanning sees, part by part: all of it, in the clear.\n" +
			"Without a PATH: standard input where something is piped into it, else the current folder.\n\n" +
			"Exit status: 0 all read, 2 usage, configuration or I/O error, 3 something could not be read.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.extract(cmd.Context(), format, a.orHere(args))
		}}
	formatFlag(cmd, &format, "text", "text", "jsonl")
	return cmd
}

func (a *app) extract(ctx context.Context, format string, paths []string) (err error) {
	cfg, err := a.loadOrDefault()
	if err != nil {
		return err
	}
	ex, err := a.readers(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ex.Close()) }()
	stdin, closeStdin := a.stdin()
	defer closeStdin()
	w := bufio.NewWriterSize(a.out, 64<<10)
	p := &partPrinter{w: w, json: format == "jsonl", plain: onTerminal(a.out)}
	failed, err := survey.Extract(ctx, ex, stdin, paths, func(path string) survey.TextSink { return p.document(path) })
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	return a.allRead(failed, p.gaps)
}

// allRead names the documents that could not be read at all, and answers with the
// exit status that they, or gaps in others, call for.
func (a *app) allRead(failed []survey.Document, gaps bool) error {
	for _, d := range failed {
		fmt.Fprintf(a.errs, "stanch: %s: %s\n", report.Plain(d.Path), report.Plain(d.Error))
	}
	switch {
	case len(failed) > 0:
		return exitCode(exitError)
	case gaps:
		return exitCode(exitNotRead)
	}
	return nil
}

// partPrinter prints parts as they come. JSON strings are written window by
// window, so that no part's text stands in memory whole.
type partPrinter struct {
	w     *bufio.Writer
	json  bool
	plain bool // text goes to a terminal, which nothing in it may steer
	gaps  bool // any document had one
}

// documentPrinter prints the parts of one document. Gaps of a part are printed
// with it; those of parts that gave no text get a line of their own.
type documentPrinter struct {
	*partPrinter
	path string
	open bool
	part string
	late []dlp.Gap
}

func (p *partPrinter) document(path string) *documentPrinter {
	return &documentPrinter{partPrinter: p, path: path}
}

// Part begins the line of a part.
func (d *documentPrinter) Part(p dlp.PartInfo) error {
	if err := d.end(); err != nil {
		return err
	}
	d.open, d.part = true, p.Path
	if !d.json {
		_, err := fmt.Fprintf(d.w, "== %s :: %s (%s)\n", report.Plain(d.path), p.Path, p.MediaType)
		return err
	}
	return d.head(p)
}

func (d *documentPrinter) head(p dlp.PartInfo) error {
	opened := ""
	if p.Opened {
		opened = `"opened":true,`
	}
	_, err := fmt.Fprintf(d.w, `{"path":%s,"part":%s,"name":%s,"type":%s,%s"text":"`, quoted(d.path), quoted(p.Path), quoted(p.Name), quoted(p.MediaType), opened)
	return err
}

func quoted(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return []byte(`""`)
	}
	return b
}

// Text adds to the part's text.
func (d *documentPrinter) Text(w dlp.Window) error {
	if !d.json && d.plain {
		_, err := d.w.WriteString(report.PlainText(string(w.Text)))
		return err
	}
	if !d.json {
		_, err := d.w.Write(w.Text)
		return err
	}
	q := quoted(string(w.Text))
	_, err := d.w.Write(q[1 : len(q)-1])
	return err
}

// Gap notes what was not read.
func (d *documentPrinter) Gap(g dlp.Gap) error {
	d.gaps = true
	d.late = append(d.late, g)
	return nil
}

// end finishes the line of the open part.
func (d *documentPrinter) end() error {
	if !d.open {
		return nil
	}
	d.open = false
	if !d.json {
		return d.w.WriteByte('\n')
	}
	var mine, rest []dlp.Gap
	for _, g := range d.late {
		if g.Path == d.part {
			mine = append(mine, g)
		} else {
			rest = append(rest, g)
		}
	}
	d.late = rest
	return d.tail(mine)
}

func (d *documentPrinter) tail(gaps []dlp.Gap) error {
	out := []survey.Gap{}
	for _, g := range gaps {
		out = append(out, survey.Gap{Part: g.Path, Name: g.Name, Cause: g.Cause.String(), Detail: g.Detail})
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.w, "\",\"gaps\":%s}\n", b)
	return err
}

// Close ends the document with the gaps of parts that gave no text.
func (d *documentPrinter) Close() error {
	if err := d.end(); err != nil {
		return err
	}
	for _, g := range d.late {
		if !d.json {
			if _, err := fmt.Fprintf(d.w, "== %s :: %s (not read: %s %s)\n", report.Plain(d.path), g.Path, g.Cause, g.Detail); err != nil {
				return err
			}
			continue
		}
		if err := d.head(dlp.PartInfo{Path: g.Path, Name: g.Name}); err != nil {
			return err
		}
		if err := d.tail([]dlp.Gap{g}); err != nil {
			return err
		}
	}
	return nil
}

var _ io.Closer = (*documentPrinter)(nil)
