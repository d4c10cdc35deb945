package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/stanch-dlp/stanch/internal/tables"
)

// Tables looks at the code tables that were imported: whether the one in use
// can be read, and is of the year that is in force.
func Tables(f *tables.Folder, now func() time.Time) Check {
	return Check{Name: "tables", Run: func(context.Context) []Finding {
		const object = tables.ICD10CM
		t, err := f.InUse()
		switch {
		case errors.Is(err, fs.ErrPermission):
			return []Finding{bad(object, "cannot be looked at: "+plain(err), "Run this as the user that serves, for example `sudo -u stanch stanch doctor`.")}
		case errors.Is(err, tables.ErrNewer):
			return []Finding{bad(object, err.Error()+": a start is refused", "Run the program that wrote it, or import CMS's order file again with this one: `stanch tables import FILE`.")}
		case err != nil:
			return []Finding{bad(object, err.Error()+": a reload goes on with the table that serve has, a start is refused",
				"Import CMS's order file again: `stanch tables import FILE`; or go back: `stanch tables use VERSION` or `built-in`, see `stanch tables list`.")}
		case t == nil:
			return []Finding{good(object, "the built-in structure: categories, and the form of codes; no table is in use")}
		}
		if year := tables.FiscalYear(now()); t.FiscalYear() < year {
			return []Finding{poor(object, fmt.Sprintf("%s: of fiscal year %d, and %d has begun: codes that came since count a level less", t.Version, t.FiscalYear(), year),
				fmt.Sprintf("Import CMS's order file of %d: `stanch tables import FILE`.", year))}
		}
		return []Finding{good(object, "%s: %d codes", t.Version, t.Codes)}
	}}
}
