package console_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/store"
	"github.com/stanch-dlp/stanch/internal/store/sqlite"
	"github.com/stanch-dlp/stanch/internal/tally"
)

// realFigures are those of a database.
type realFigures struct{ db *sqlite.DB }

func (f realFigures) Of(ctx context.Context, whats []string, first, last int) ([]store.Count, error) {
	return f.db.Figures(ctx, whats, first, last)
}

func (f realFigures) By(ctx context.Context, what string, first, last int) ([]store.Count, error) {
	return f.db.FiguresOf(ctx, what, first, last)
}

func (f realFigures) Top(ctx context.Context, what string, first, last, most int) ([]store.Count, error) {
	return f.db.FiguresTop(ctx, what, first, last, most)
}

func (f realFigures) Repeats(ctx context.Context, what string, first, last, most int) ([]store.Repeats, error) {
	return f.db.FiguresRepeats(ctx, what, first, last, most)
}

// databaseOf is a database with these counts.
func databaseOf(t *testing.T, cs []store.Count) realFigures {
	t.Helper()
	_, _, db := openDatabase(t)
	for some := range slices.Chunk(cs, 5000) {
		if err := db.AddFigures(t.Context(), some, []byte("here"), false); err != nil {
			t.Fatal(err)
		}
	}
	return realFigures{db}
}

// person is the pseudonym of a sender, the n-th of a department.
func person(dept string, n int) string { return fmt.Sprintf("%02x%s%028d", n, dept[:2], n) }

// sent counts mail of n senders of a department on a day, the k-th of whom had held[k] held.
func sent(doc dlp.ID, day int, dept string, n int, rule string, held ...int64) (out []store.Count) {
	out = append(out, store.Count{Day: day, What: tally.Department, Of: dept, N: int64(10 * n), Doc: doc})
	for i := range n {
		out = append(out, store.Count{Day: store.Block(day), What: tally.DepartmentSeen, Of: dept + " " + person(dept, i)[:2], N: 10, Doc: doc})
	}
	for i, k := range held {
		out = append(out, store.Count{Day: day, What: tally.DepartmentHeld, Of: dept, N: k, Doc: doc}, store.Count{Day: day, What: tally.DepartmentRule, Of: dept + " " + rule, N: k, Doc: doc},
			store.Count{Day: day, What: tally.DepartmentSender, Of: dept + " " + person(dept, i), N: k, Doc: doc})
	}
	return out
}

var tag = regexp.MustCompile(`<[^>]*>`)

// rowsOf are the rows of the table by department: name, messages, held, change, repeats and rules.
func rowsOf(t *testing.T, body string) map[string]string {
	t.Helper()
	_, table, ok := strings.Cut(body, `<caption class="said">By department</caption>`)
	out := map[string]string{}
	if !ok {
		return out
	}
	table, _, _ = strings.Cut(table, "</tbody>")
	for _, row := range strings.Split(table, "<tr>")[2:] {
		cells := strings.Fields(html.UnescapeString(tag.ReplaceAllString(strings.ReplaceAll(row, "</t", " | </t"), " ")))
		name, rest, _ := strings.Cut(strings.Join(cells, " "), " | ")
		out[name] = strings.TrimSuffix(rest, " | |")
	}
	return out
}

const ward, surgery, desks, none, gone = "aa00000000000000", "bb00000000000000", "cc00000000000000", "00ffffffffffffff", "ee00000000000000"

// departed is a site with figures of departments.
func departed(t *testing.T, make func(doc dlp.ID, today int) []store.Count) *site {
	t.Helper()
	s := newSiteWith(t, 1, func(s *site, d *console.Deps) {
		d.Figures = databaseOf(t, make(s.desk.held[0].ID, tally.Day(s.at)))
		d.Departments = func() console.Departments {
			return console.Departments{Names: map[string]string{ward: "Ward 7", surgery: "Surgery", desks: "Front desk"}, None: none, Least: 5}
		}
	})
	for name, role := range map[string]console.Role{"vera": console.Viewer, "aud": console.Auditor, "dana": console.Officer} {
		s.add(t, name, role, false)
	}
	return s
}

// TestDepartments: who may see names sees each department, who repeats in it and by
// name; who may not sees none of few senders alone, in no period and no form.
func TestDepartments(t *testing.T) {
	t.Parallel()
	s := departed(t, func(doc dlp.ID, today int) []store.Count {
		return slices.Concat(
			sent(doc, today, ward, 12, "us-ssn", 5, 1, 2), sent(doc, today-1, ward, 12, "mrn", 0, 1, 1), sent(doc, today-15, ward, 12, "us-ssn", 4),
			sent(doc, today, surgery, 2, "us-dea", 77), sent(doc, today, desks, 9, "mrn"), sent(doc, today-15, desks, 9, "mrn", 1),
			sent(doc, today, none, 6, "us-ssn", 2, 2, 2), sent(doc, today, gone, 7, "npi", 3))
	})
	dana := s.signedIn(t, "dana")
	_, body, _ := dana.do(http.MethodGet, "/dashboard?days=14", nil)
	who := "ward.person@clinic.example"
	for name, want := range map[string]string{
		"Ward 7":                    "240 | 10 | +150 % (4 before) | 3 " + who + ": 5 " + who + ": 3 " + who + ": 2 | us-ssn 8, mrn 2",
		"Surgery":                   "20 | 77 | none before | 1 " + who + ": 77 | us-dea 77",
		"Front desk":                "90 | 0 | -100 % (1 before) | 0 |",
		"(no department)":           "60 | 6 | none before | 3 " + who + ": 2 " + who + ": 2 " + who + ": 2 | us-ssn 6",
		"(not configured any more)": "70 | 3 | none before | 1 " + who + ": 3 | npi 3",
	} {
		if got := rowsOf(t, body)[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, w := range []string{`aria-label="Held by department, `, "Surgery 77, Ward 7 10", `href="/departments.csv?from=2026-11-13&amp;to=2026-11-26"`} {
		if !strings.Contains(body, w) {
			t.Errorf("the dashboard lacks %q", w)
		}
	}
	for _, viewer := range []string{"vera", "aud"} {
		v := s.signedIn(t, viewer)
		for _, path := range []string{"/dashboard?days=14", "/report?days=14", "/dashboard?days=1", "/departments.csv?days=14"} {
			_, body, _ := v.do(http.MethodGet, path, nil)
			if strings.Contains(body, "Surgery") || strings.Contains(body, "ward.person") || strings.Contains(body, ward) {
				t.Errorf("%s %s shows two persons' department, or a person", viewer, path)
			}
		}
		_, body, _ := v.do(http.MethodGet, "/report?days=14", nil)
		rows := rowsOf(t, body)
		// The first by name goes with the two of Surgery: then no difference is of them alone.
		if rows["(departments of few senders, together)"] == "" || rows["(no department)"] != "" || !strings.HasPrefix(rows["Ward 7"], "240 | 10 | ") || !strings.Contains(rows["Ward 7"], "| 3 |") {
			t.Errorf("%s: %q", viewer, rows)
		}
		if !strings.Contains(rows["(departments of few senders, together)"], "80 | 83 |") || !strings.Contains(body, "fewer than 5 senders") {
			t.Errorf("%s: together %q", viewer, rows)
		}
	}
	_, csv, _ := dana.do(http.MethodGet, "/departments.csv?days=14", nil)
	lines := strings.Split(strings.TrimSpace(csv), "\n")
	if lines[0] != "from,to,department,messages,held,held_before,senders_with_repeats,rules" || !slices.Contains(lines, "2026-11-13,2026-11-26,Ward 7,240,10,4,3,us-ssn 8; mrn 2") || strings.Contains(csv, "ward.person") {
		t.Errorf("CSV:\n%s", csv)
	}
	if !slices.ContainsFunc(s.desk.events, func(e audit.Event) bool {
		return e.Kind == audit.Look && e.Reason == "departments_csv" && e.Actor == "user:dana"
	}) {
		t.Error("that the CSV was fetched is not on record")
	}
	if code, _, _ := dana.do(http.MethodGet, "/departments.csv?days=0", nil); code != http.StatusBadRequest {
		t.Errorf("a period that is none: %d", code)
	}
	if _, csv, _ := dana.do(http.MethodGet, "/report.csv?days=14", nil); strings.Contains(csv, "department") || strings.Contains(csv, ward) {
		t.Errorf("the report's CSV has pseudonyms:\n%s", csv)
	}
}

// TestFewSenders: what is shown to who may not see names where departments are small.
func TestFewSenders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		make func(doc dlp.ID, today int) []store.Count
		want map[string]string
		says string
	}{
		{"one small one alone", func(doc dlp.ID, today int) []store.Count { return sent(doc, today, ward, 2, "mrn", 9) }, map[string]string{}, "Not shown: fewer than 5"},
		{"two, still too few", func(doc dlp.ID, today int) []store.Count {
			return slices.Concat(sent(doc, today, ward, 2, "mrn", 9), sent(doc, today, surgery, 2, "mrn", 1))
		}, map[string]string{}, "Not shown: fewer than 5"},
		{"two, enough together", func(doc dlp.ID, today int) []store.Count {
			return slices.Concat(sent(doc, today, ward, 2, "mrn", 9), sent(doc, today, surgery, 3, "us-ssn", 1))
		}, map[string]string{"(departments of few senders, together)": "50 | 10 | not shown | 1 | mrn 9, us-ssn 1"}, "stand together"},
		{"a large one that was small before", func(doc dlp.ID, today int) []store.Count {
			return slices.Concat(sent(doc, today, ward, 8, "mrn", 9), sent(doc, today-100, surgery, 8, "mrn"), sent(doc, today, surgery, 8, "mrn"), sent(doc, today-100, desks, 8, "mrn"), sent(doc, today, desks, 8, "mrn"))
		}, map[string]string{"Ward 7": "80 | 9 | not shown | 1 | mrn 9", "Front desk": "80 | 0 | not shown | 0 |", "Surgery": "80 | 0 | none, as before | 0 |"}, ""},
		{"all large", func(doc dlp.ID, today int) []store.Count { return sent(doc, today-200, ward, 8, "mrn", 9) }, map[string]string{}, "No mail since"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := departed(t, tc.make)
			_, body, _ := s.signedIn(t, "vera").do(http.MethodGet, "/dashboard?days=60", nil)
			got := rowsOf(t, body)
			if fmt.Sprint(got) != fmt.Sprint(tc.want) || !strings.Contains(body, tc.says) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	s := newSite(t, 1)
	s.add(t, "dana", console.Officer, false)
	v := s.signedIn(t, "dana")
	if _, body, _ := v.do(http.MethodGet, "/dashboard", nil); !strings.Contains(body, "No departments are configured") {
		t.Error("without departments the dashboard does not say so")
	}
	if _, csv, _ := v.do(http.MethodGet, "/departments.csv", nil); strings.Count(csv, "\n") != 1 {
		t.Errorf("without departments:\n%s", csv)
	}
}

// yearOf is what a year of a site counts: 30 departments of senders, of whom each day
// heldADay have something held, and so many rules.
func yearOf(doc dlp.ID, today, days, rules, senders, heldADay int) (out []store.Count, depts map[string]string) {
	depts = map[string]string{}
	for i := range 30 {
		depts[fmt.Sprintf("%032x", i+1)] = fmt.Sprint("Department ", i)
	}
	for day := today - days; day <= today; day++ {
		add := func(what, of string, n int64) {
			out = append(out, store.Count{Day: day, What: what, Of: of, N: n, Doc: doc})
		}
		for _, what := range []string{tally.Passed, tally.Held, tally.Encrypted, tally.Rejected, tally.Released, tally.Refused} {
			add(what, "mail", int64(100+day%7))
			add(what, "file", 9)
		}
		for i := range rules {
			for _, what := range []string{tally.RuleHeld, tally.RuleEncrypted, tally.PHI, tally.NotPHI} {
				add(what, fmt.Sprint("rule-", i), int64(1+i%5))
			}
		}
		for i := range 25 {
			add(tally.Waited, fmt.Sprint(i), 3)
		}
		for i := range heldADay {
			who := (day*heldADay*7 + i*13) % senders
			dept, sender := fmt.Sprintf("%032x", who%30+1), fmt.Sprintf("%032x", who+1000)
			add(tally.SenderHeld, sender, 1)
			add(tally.DepartmentSender, dept+" "+sender, 1)
			add(tally.DepartmentHeld, dept, 1)
			add(tally.DepartmentRule, fmt.Sprint(dept, " rule-", (day+i)%rules), 1)
		}
		for i := range 30 {
			add(tally.Department, fmt.Sprintf("%032x", i+1), 300)
		}
		if store.Block(day) == day {
			for i := range senders {
				add(tally.DepartmentSeen, fmt.Sprintf("%032x %02x", i%30+1, i%256), 20)
			}
		}
	}
	return out, depts
}

// TestYearFigures measures the dashboard and the reports over a year (make
// bench-console). It holds what they show, not how long they take.
func TestYearFigures(t *testing.T) {
	days, rules, senders, heldADay := 40, 5, 60, 3
	if os.Getenv("STANCH_BENCH") != "" {
		days, rules, senders, heldADay = 2*366, 60, 3000, 280 // 100,000 held in a year
	}
	var depts map[string]string
	s := newSiteWith(t, 1, func(s *site, d *console.Deps) {
		cs, names := yearOf(s.desk.held[0].ID, tally.Day(s.at), days, rules, senders, heldADay)
		d.Figures, depts = databaseOf(t, cs), names
		d.Departments = func() console.Departments { return console.Departments{Names: depts, None: none, Least: 5} }
	})
	s.add(t, "dana", console.Officer, false)
	s.add(t, "vera", console.Viewer, false)
	for _, p := range []struct{ who, path, has string }{
		{"dana", "/dashboard", "Department 29"},
		{"dana", "/dashboard?days=366", "Department 29"},
		{"vera", "/dashboard?days=366", "By department"},
		{"dana", "/report?days=366", "Department 29"},
		{"dana", "/departments.csv?days=366", "Department 29"},
		{"dana", "/report.csv?days=366", "rule-4"},
		{"dana", "/rollout", "Roll-out"},
	} {
		v := s.signedIn(t, p.who)
		var took []time.Duration
		for range 9 {
			start := time.Now()
			code, body, _ := v.do(http.MethodGet, p.path, nil)
			took = append(took, time.Since(start))
			if code != http.StatusOK || !strings.Contains(body, p.has) {
				t.Fatalf("%s: %d, or it lacks %q", p.path, code, p.has)
			}
		}
		slices.Sort(took)
		t.Logf("%d held a day, %d senders, %s %-28s median %6.1f ms, slowest of %d %6.1f ms", heldADay, senders, p.who, p.path, ms(took[len(took)/2]), len(took), ms(took[len(took)-1]))
	}
}
