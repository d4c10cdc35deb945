package console

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/notify"
)

func (c *Console) deputyRoutes() []route {
	return []route{
		{"GET /deputy", decide, func(w http.ResponseWriter, r *http.Request, u User) { c.deputyPage(w, r, u, http.StatusOK, "") }},
		{"POST /deputy/name", decide, c.nameDeputy},
		{"POST /deputy/end", decide, c.endDeputy},
	}
}

// standing is u as they are about an item: in whose place, where they say so, or
// have it from them, or it is claimed by one whose deputy they are. ErrNoDeputy.
func (c *Console) standing(r *http.Request, id dlp.ID, u User) (User, error) {
	want := r.PostFormValue("for")
	said := want != ""
	if by, of := c.claims.holder(id); want == "" && by == u.Name {
		want = of
	} else if want == "" {
		want = by
	}
	if want == "" {
		return u, nil
	}
	places, err := c.Deputy.InPlaceOf(u.Name)
	switch {
	case err != nil:
		return u, err
	case slices.Contains(places, want):
		u.inPlaceOf = want
	case said:
		return u, ErrNoDeputy
	}
	return u, nil
}

// deputyOn says on an item's page in whose place its reader may act, and whether
// who decided before them, or they, are the wrong one to.
func (c *Console) deputyOn(p *itemPage, u User) (err error) {
	if by := p.It.Proposed; by != nil {
		counts, err := c.Deputy.Counts(by.By, by.At)
		if err != nil {
			return err
		}
		p.Void = !counts
	}
	if !u.may(decide) {
		return nil
	}
	p.InPlace = u.inPlaceOf
	if p.Places, err = c.Deputy.InPlaceOf(u.Name); err != nil {
		return err
	}
	if from := notify.Addresses([]string{p.It.Sender}); len(from) == 1 {
		p.Own, err = c.Deputy.Sent(u.Actor(), from[0])
	}
	return err
}

type deputyData struct {
	frame
	Amiss  string
	Mine   *Deputyship  // who stands in for them
	Theirs []Deputyship // for whom they stand in
	Others []string     // who could
	First  string       // the first and last day that one may name
	Last   string
}

func (c *Console) deputyPage(w http.ResponseWriter, r *http.Request, u User, status int, amiss string) {
	run, err := c.Deputy.Running()
	var all []User
	if err == nil {
		all, err = c.Users.List()
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	now := c.Now().UTC()
	d := deputyData{frame: c.frame(r, u, "Deputy"), Amiss: amiss, First: now.Format(dayForm), Last: now.Add(MaxDeputy - 24*time.Hour).Format(dayForm)}
	for _, x := range run {
		switch u.Name {
		case x.Of:
			d.Mine = &x
		case x.By:
			d.Theirs = append(d.Theirs, x)
		}
	}
	for _, x := range all {
		if x.Name != u.Name && x.decides() {
			d.Others = append(d.Others, x.Name)
		}
	}
	c.render(w, r, status, "deputy", d)
}

// nameDeputy names u's deputy, from now to the end of a day.
func (c *Console) nameDeputy(w http.ResponseWriter, r *http.Request, u User) {
	last, err := time.Parse(dayForm, r.PostFormValue("last"))
	if err != nil {
		c.deputyPage(w, r, u, http.StatusBadRequest, "A day is such as 2026-01-31.")
		return
	}
	err = c.changeDeputy(r, u, false, func(record func(Deputyship) error) error {
		return c.Deputy.Name(u.Name, r.PostFormValue("name"), last.Add(24*time.Hour), record)
	})
	c.deputyDone(w, r, u, err, "Your deputy is named. It ends by itself.")
}

func (c *Console) endDeputy(w http.ResponseWriter, r *http.Request, u User) {
	err := c.changeDeputy(r, u, true, func(record func(Deputyship) error) error { return c.Deputy.End(u.Name, record) })
	c.deputyDone(w, r, u, err, "You have no deputy any more.")
}

// changeDeputy has do change u's deputy, on record before it is done, and again
// where it was not.
func (c *Console) changeDeputy(r *http.Request, u User, ended bool, do func(record func(Deputyship) error) error) error {
	change := gateway.DeputyChange{Ended: ended}
	noted := false
	err := do(func(x Deputyship) error {
		change.Of, change.By, change.Until = x.Of, x.By, x.Until
		err := c.note(r.Context(), change.Event(u.Actor()))
		noted = err == nil
		return err
	})
	if change.Failed = err != nil; change.Failed && noted {
		err = errors.Join(err, c.note(r.Context(), change.Event(u.Actor())))
	}
	return err
}

func (c *Console) deputyDone(w http.ResponseWriter, r *http.Request, u User, err error, said string) {
	for _, known := range []error{ErrHasDeputy, ErrDeputyOften, ErrDeputyFor, ErrDeputyWho, ErrDeputyOf, ErrNoDeputy} {
		if errors.Is(err, known) {
			c.deputyPage(w, r, u, http.StatusConflict, "Nothing was changed: "+known.Error()+".")
			return
		}
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.sessions.say(r, said)
	http.Redirect(w, r, "/deputy", http.StatusSeeOther)
}
