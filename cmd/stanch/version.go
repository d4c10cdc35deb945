package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Set by the linker (see Makefile, build).
var (
	version = "unknown"
	commit  = "unknown"
	date    = "unknown"
)

func (a *app) versionCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "version", Short: "Print build data", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Commit  string `json:"commit"`
				Date    string `json:"date"`
				Go      string `json:"go"`
			}{version, commit, date, runtime.Version()}
			if format == "json" {
				return json.NewEncoder(a.out).Encode(v)
			}
			_, err := fmt.Fprintf(a.out, "stanch %s (commit %s of %s, %s)\n", v.Version, v.Commit, v.Date, v.Go)
			return err
		}}
	formatFlag(cmd, &format, "text", "text", "json")
	return cmd
}

func (a *app) manCmd() *cobra.Command {
	return &cobra.Command{Use: "man DIR", Short: "Write the man pages into a folder", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			head := &doc.GenManHeader{Title: "STANCH", Section: "1", Source: "stanch " + version}
			if built, err := time.Parse(time.RFC3339, date); err == nil {
				head.Date = &built // the same binary writes the same pages
			}
			return doc.GenManTree(cmd.Root(), head, args[0])
		}}
}
