package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/safelog"
	"github.com/stanch-dlp/stanch/internal/tables"
)

func tablesDir(dir string) string { return filepath.Join(dir, "tables") }

// importedTable is the code table that rules are to ask by that configuration;
// nil for none.
func importedTable(cfg *config.Config) (*tables.Table, error) {
	if cfg.File == "" {
		return nil, nil
	}
	t, err := tables.NewFolder(tablesDir(cfg.DataDir)).InUse()
	if err != nil {
		return nil, fmt.Errorf("%w: import it again (`stanch tables import FILE`), or have none in use (`stanch tables use %s`)", err, builtIn)
	}
	return t, nil
}

// table is importedTable for commands. One that is in use and cannot be read is
// an error: rules that ask it would find less. Where only the user who serves may
// see whether one is in use, a command of another user goes on without and says so.
func (a *app) table(cfg *config.Config) (*tables.Table, error) {
	t, err := importedTable(cfg)
	if errors.Is(err, tables.ErrUnseen) {
		fmt.Fprintf(a.errs, "warning: whether a code table is in use cannot be read by this user: rules ask %s\n", asked(nil))
		return nil, nil
	}
	return t, err
}

// asked names what rules ask about codes.
func asked(t *tables.Table) string {
	if t == nil {
		return "the built-in structure of " + tables.ICD10CM
	}
	return t.Name + " " + t.Version + ", which was loaded before"
}

// table is importedTable for serve: where it cannot be used, a reload goes on
// with what is in force, and says so; a start is refused.
func (s *server) table(ctx context.Context, cfg *config.Config) (*tables.Table, error) {
	t, err := importedTable(cfg)
	if err == nil {
		return t, nil
	}
	s.mu.Lock()
	first := s.judges == nil
	if !first {
		t = s.judges.table
	}
	s.mu.Unlock()
	if first {
		return nil, err
	}
	s.log.LogAttrs(ctx, slog.LevelError, "the imported code table cannot be used; what was in force stays in force", safelog.Err(err))
	fmt.Fprintf(s.app.errs, "stanch: %v: going on with %s\n", err, asked(t))
	return t, nil
}

func (a *app) tablesCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "tables", Short: "Import, list and choose the code tables that rules ask",
		Long: "Import, list and choose the code tables that rules ask. Without one they ask the structure that is built in.\n" +
			"A running serve takes a change when it is reloaded (SIGHUP)."}
	cmd.AddCommand(a.tablesImportCmd(), a.tablesListCmd(), a.tablesUseCmd(), a.tablesRemoveCmd())
	return cmd
}

// reloading says when a change is in force.
const reloading = "A running serve takes it when it is reloaded: `systemctl reload stanch`, or SIGHUP."

// folder is where tables lie. To change it takes the user that serves: what
// another one leaves there serve could not read.
func (a *app) folder(change bool) (*tables.Folder, error) {
	p, err := a.place()
	if err != nil {
		return nil, err
	}
	a.warnOf(p)
	if change {
		if err := ours(p.dir, tablesDir(p.dir)); err != nil {
			return nil, err
		}
	}
	return tables.NewFolder(tablesDir(p.dir)), nil
}

func (a *app) tablesImportCmd() *cobra.Command {
	var version string
	cmd := &cobra.Command{Use: "import FILE", Short: "Take in the year's list of ICD-10-CM, and put it in use", Args: cobra.ExactArgs(1),
		Long: "Take in CMS's order file of ICD-10-CM, such as icd10cm_order_2027.txt, plain or packed by gzip, and put it in use.\n" +
			"Every line is verified; if anything is not as it should be, nothing changes and standard error says file, line and\n" +
			"column. The table that was in use before is kept: `stanch tables use` goes back to it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := a.folder(true)
			if err != nil {
				return err
			}
			return a.importTable(cmd.Context(), f, args[0], version)
		}}
	cmd.Flags().StringVar(&version, "version", "",
		"the `VERSION` of the list where its name does not tell: a fiscal year such as 2027, or year and month such as 2027-04")
	return cmd
}

// recorded does what c says after it was put on the audit log, which is told
// also if it failed. Where nothing has been served yet there is no log: the event
// of the first start names the table.
func (a *app) recorded(ctx context.Context, c gateway.TableChange, do func() error) error {
	note := func() error {
		err := a.withDesk(ctx, func(d control.Desk, actor string) error { return d.NoteTable(ctx, c, actor) })
		if errors.Is(err, errNoData) {
			return nil
		}
		return err
	}
	if err := note(); err != nil {
		return fmt.Errorf("nothing was changed, since it could not be recorded: %w", err)
	}
	err := do()
	if err != nil {
		c.Failed = true
		err = errors.Join(err, note())
	}
	return err
}

func (a *app) importTable(ctx context.Context, f *tables.Folder, path, version string) error {
	if version == "" {
		version = tables.VersionOf(filepath.Base(path))
	}
	if version == "" {
		return fmt.Errorf("%s: its name does not tell the year: give --version, such as 2027 or 2027-04", path)
	}
	if err := tables.ValidVersion(version); err != nil {
		return fmt.Errorf("--version: want %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() // read only
	t, err := tables.ReadOrder(file, path, version)
	if err != nil {
		return fmt.Errorf("%w\nnothing was imported", err)
	}
	t.Imported = time.Now().UTC().Truncate(time.Second)
	if now, err := f.InUse(); err == nil && now != nil && now.Version == t.Version && now.Digest() == t.Digest() {
		_, err := fmt.Fprintf(a.out, "%s %s with these codes is in use already; nothing was changed.\n", t.Name, t.Version)
		return err
	}
	if version := taken(f, t); version != "" {
		return fmt.Errorf("%s: this very file is here as version %s: nothing was imported; where that name is wrong, `stanch tables remove %s` first, or `stanch tables use %s` for that table",
			path, version, version, version)
	}
	var removed []string
	err = a.recorded(ctx, gateway.TableChange{Do: "import", Version: t.Version, Digest: t.Source}, func() (err error) {
		removed, err = f.Add(t)
		return err
	})
	if err != nil {
		return err
	}
	for _, v := range removed {
		fmt.Fprintf(a.errs, "stanch: %s %s was removed: the two last in use are kept\n", t.Name, v)
	}
	_, err = fmt.Fprintf(a.out, "%s %s is in use: %d codes, %d of them billable, from %s (SHA-256 %s).\n%s\n",
		t.Name, t.Version, t.Codes, t.Billable, path, t.Source, reloading)
	return err
}

// taken is the other version under which the folder has the file of t, "" for
// none: a file taken twice would push out the table of another year.
func taken(f *tables.Folder, t *tables.Table) (version string) {
	all, err := f.List()
	if err != nil {
		return "" // what is damaged there is mended by an import
	}
	for _, e := range all {
		if e.Err == nil && e.Version != t.Version && e.Source == t.Source {
			return e.Version
		}
	}
	return ""
}

// tableView is one table of `tables list --format json`.
type tableView struct {
	tables.About
	Digest string `json:"digest"` // of the codes; it goes into the digest of the rules
	InUse  bool   `json:"in_use"`
	Error  string `json:"error,omitempty"` // why it cannot be read
}

func (a *app) tablesListCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "list", Short: "List the imported tables, the newest first", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := a.folder(false)
			if err != nil {
				return err
			}
			all, err := f.List()
			if err != nil {
				return err
			}
			if format == "json" {
				views := []tableView{}
				for _, e := range all {
					v := tableView{About: e.About, InUse: e.InUse}
					if e.Err != nil {
						v.Error = e.Err.Error()
					} else {
						v.Digest = e.Table.Digest()
					}
					views = append(views, v)
				}
				return a.printJSON(views)
			}
			return a.tableOfTables(all)
		}}
	formatFlag(cmd, &format, "table", "table", "json")
	return cmd
}

func (a *app) tableOfTables(all []tables.Entry) error {
	var rows [][]string
	none := true
	for _, e := range all {
		state := "kept"
		if e.InUse {
			state, none = "in use", false
		}
		row := []string{e.Name, e.Version, "", "", "", "", state}
		if e.Err != nil {
			row[6] += ", " + e.Err.Error()
		} else {
			copy(row[2:], []string{fmt.Sprint(e.Codes), fmt.Sprint(e.Billable), e.Imported.Local().Format(time.DateTime), e.Source[:min(12, len(e.Source))]})
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		if err := report.Table(a.out, []string{"TABLE", "VERSION", "CODES", "BILLABLE", "IMPORTED", "SHA-256 OF THE FILE", "STATE"}, rows, colourful(a.out)); err != nil {
			return err
		}
	}
	if none {
		_, err := fmt.Fprintf(a.out, "No table is in use: rules ask %s.\n", asked(nil))
		return err
	}
	return nil
}

// builtIn is what `tables use` calls having no table in use.
const builtIn = "built-in"

func (a *app) tablesUseCmd() *cobra.Command {
	return &cobra.Command{Use: "use VERSION", Short: "Go back to another imported table, or to the structure that is " + builtIn, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := a.folder(true)
			if err != nil {
				return err
			}
			version := strings.TrimPrefix(args[0], builtIn)
			use := func() error { return f.Use(version) }
			if version == "" || tables.ValidVersion(version) == nil { // else there is no such table
				err = a.recorded(cmd.Context(), gateway.TableChange{Do: "use", Version: cmp.Or(version, builtIn)}, use)
			} else {
				err = use()
			}
			if err != nil && !(version == "" && errors.Is(err, tables.ErrNone)) {
				return tableNamed(err)
			}
			what := tables.ICD10CM + " " + version + " is in use."
			if version == "" {
				what = "No table is in use: rules ask " + asked(nil) + "."
			}
			_, err = fmt.Fprintf(a.out, "%s\n%s\n", what, reloading)
			return err
		}}
}

func (a *app) tablesRemoveCmd() *cobra.Command {
	return &cobra.Command{Use: "remove VERSION", Short: "Delete an imported table that is not in use", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := a.folder(true)
			if err != nil {
				return err
			}
			remove := func() error { return f.Remove(args[0]) }
			if tables.ValidVersion(args[0]) == nil { // else there is no such table
				err = a.recorded(cmd.Context(), gateway.TableChange{Do: "remove", Version: args[0]}, remove)
			} else {
				err = remove()
			}
			if err != nil {
				return tableNamed(err)
			}
			_, err = fmt.Fprintf(a.out, "%s %s was removed.\n", tables.ICD10CM, args[0])
			return err
		}}
}

// tableNamed adds to an error about a table that was named what to do.
func tableNamed(err error) error {
	switch {
	case errors.Is(err, tables.ErrNone), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; see `stanch tables list`", err)
	case errors.Is(err, tables.ErrInUse):
		return fmt.Errorf("%w: put another one in use first, or the one that is %s: `stanch tables use %s`", err, builtIn, builtIn)
	}
	return err
}
