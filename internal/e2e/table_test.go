package e2e

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	inPackage = regexp.MustCompile("`([a-z0-9/]+)` ((?:Test[A-Za-z0-9]+(?:, )?)+)")
	testName  = regexp.MustCompile(`Test[A-Za-z0-9]+`)
)

// askedFor says which rows of docs/faults.md, by how they begin, answer a row of
// the list of faults that were asked for.
var askedFor = map[string][]string{
	"kill -9 before the dot / while scanning / while proxying":                 {"kill -9 before the end of data"},
	"kill -9 after next hop's 250, before ours":                                {"kill -9 after the next hop's `250`"},
	"kill -9 after spool fsync, before 250":                                    {"kill -9 after a hold or a spooled message is synced"},
	"kill -9 during spool delivery (each state)":                               {"kill -9 while the outbox delivers", "6 (*long*: 100) × kill -9"},
	"restart with 10k backlog":                                                 {"restart with a backlog"},
	"disk full / EIO / fsync error on spool":                                   {"disk full under vault and spool", "write or sync error under vault and spool"},
	"disk full on audit log":                                                   {"disk full or failing under the audit log"},
	"next hop 4xx/5xx at MAIL, RCPT, DATA, dot":                                {"next hop: 4yz or 5yz"},
	"next hop fails at connect, greeting (554 or 421 too), EHLO, TLS":          {"next hop: fails at connect"},
	"next hop down / DNS SERVFAIL / NXDOMAIN / timeout":                        {"next hop: down, DNS fails"},
	"next hop hangs after the dot":                                             {"next hop: hangs after the dot, or drops"},
	"next hop drops after the dot":                                             {"next hop: hangs after the dot, or drops"},
	"next hop closes idle pooled connection":                                   {"next hop: closes an idle connection"},
	"partial recipient refusal":                                                {"next hop: refuses some recipients"},
	"next hop SIZE smaller / no 8BITMIME / no SMTPUTF8":                        {"next hop: smaller SIZE"},
	"STARTTLS stripped, wrong name, expired cert":                              {"next hop: STARTTLS taken out"},
	"clock jumps +/-1 day":                                                     {"the clock jumps"},
	"10k idle connections":                                                     {"10,000 idle connections"},
	"slowloris command / DATA 1 B/s":                                           {"clients that send a byte a second"},
	"1 GB line, 100k RCPT, 1M headers, 10k MIME parts, zip bomb, 30-deep MIME": {"a line of 1 GB"},
	"message = limit, limit+1, lying SIZE":                                     {"a message of the limit"},
	"client vanishes mid-DATA, mid-BDAT":                                       {"the client vanishes"},
	"scanner panic / timeout on one message":                                   {"reading or judging breaks"},
	"loop (100 Received)":                                                      {"a loop"},
	"SIGTERM under load":                                                       {"SIGTERM under load"},
	"config reload under load":                                                 {"reload under load"},
}

// TestFaultsAreTested: docs/faults.md has a row for each fault that was asked for,
// each of its rows has a test, and each test that it names is there.
func TestFaultsAreTested(t *testing.T) {
	t.Parallel()
	var faults []string
	for _, cells := range tableRows(t, read(t, "../../docs/faults.md")) {
		faults = append(faults, cells[0])
		if len(cells) != 3 {
			t.Errorf("%d cells, want 3: %s", len(cells), cells[0])
			continue
		}
		testsAreThere(t, cells[0], cells[2])
	}
	answered := func(begins string) bool {
		return slices.ContainsFunc(faults, func(f string) bool { return strings.HasPrefix(f, begins) })
	}
	for fault, rows := range askedFor {
		for _, begins := range rows {
			if !answered(begins) {
				t.Errorf("docs/faults.md has no row %q, for: %s", begins, fault)
			}
		}
	}
	t.Run("asked for", func(t *testing.T) {
		const list = "../../../shared/FAULTS.md"
		if _, err := os.Stat(list); errors.Is(err, fs.ErrNotExist) {
			t.Skip("the list of the faults that were asked for is not beside the checkout")
		}
		left := maps.Clone(askedFor)
		for _, cells := range tableRows(t, read(t, list)) {
			if left[cells[0]] == nil {
				t.Errorf("no row of docs/faults.md answers: %s", cells[0])
			}
			delete(left, cells[0])
		}
		for fault := range left {
			t.Errorf("nobody asked for: %s", fault)
		}
	})
}

// testsAreThere reports which of the tests that a cell names, each behind its
// package, are not there, and that it names none.
func testsAreThere(t *testing.T, what, cell string) {
	t.Helper()
	named := map[string]bool{}
	for _, m := range inPackage.FindAllStringSubmatch(cell, -1) {
		for _, name := range testName.FindAllString(m[2], -1) {
			named[name] = true
			if !hasTest(t, filepath.Join("../..", m[1]), name) {
				t.Errorf("%s has no %s, which is to show: %s", m[1], name, what)
			}
		}
	}
	if len(named) == 0 {
		t.Errorf("no test for: %s", what)
	}
	for _, name := range testName.FindAllString(cell, -1) {
		if !named[name] {
			t.Errorf("%s is named without its package, for: %s", name, what)
		}
	}
}

// TestProgramsAreTested: each cell of the table of docs/encryption.md that says what
// other programs open, and refuse, names its tests, and they are there.
func TestProgramsAreTested(t *testing.T) {
	t.Parallel()
	_, page, _ := strings.Cut(read(t, "../../docs/encryption.md"), "\n## Opened by other programs\n")
	page, _, _ = strings.Cut(page, "\n## ")
	for _, cells := range tableRows(t, page) {
		if len(cells) != 4 {
			t.Errorf("%d cells, want 4: %s", len(cells), cells[0])
			continue
		}
		testsAreThere(t, strings.Join(cells[:3], ", "), cells[3])
	}
}

// tableRows are the cells of a page's tables, without their heads.
func tableRows(t *testing.T, page string) (rows [][]string) {
	t.Helper()
	for line := range strings.Lines(page) {
		row, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
		if !ok || strings.HasPrefix(row, " fault |") || strings.HasPrefix(row, " encrypted |") || strings.HasPrefix(row, "-") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(row, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) == 0 {
		t.Fatal("the page has no table")
	}
	return rows
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.Contains(read(t, f), "\nfunc "+name+"(t *testing.T) {") {
			return true
		}
	}
	return false
}
