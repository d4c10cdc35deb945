package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
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
