package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Bounds on saved views.
const (
	maxViews    = 20       // of one account
	maxViewName = 40       // characters
	maxViewURL  = 1000     // bytes, of a search
	maxViewFile = 32 << 20 // more than maxUsers have
)

// View is a search of the queue under a name.
type View struct {
	Name  string `json:"name"`
	Query string `json:"query"` // of a search and nothing else, in the form of a URL's
}

// Views keeps each account's views in one file, sealed: people name and search for
// whom they like.
type Views struct {
	path, old string // old is of earlier versions, in the clear
	keys      Keys
	mu        sync.Mutex // held while the file is read and changed
}

// OpenViews returns the views kept in dir, which need not be there yet.
func OpenViews(dir string, keys Keys) *Views {
	return &Views{path: filepath.Join(dir, "views.sealed"), old: filepath.Join(dir, "views.json"), keys: keys}
}

// viewsAD is what the file is sealed as.
const viewsAD = "console views"

// Of returns the views of an account, by name.
func (v *Views) Of(name string) ([]View, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all, err := v.all()
	return all[name], err
}

func (v *Views) all() (map[string][]View, error) {
	b, err := os.ReadFile(v.path)
	if err == nil && len(b) <= maxViewFile {
		if b, err = v.keys.Open(viewsAD, b); err != nil {
			return nil, errViewsDamaged
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		b, err = os.ReadFile(v.old)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return map[string][]View{}, nil
	}
	if err != nil {
		return nil, safefile.Classify("console: read views", err)
	}
	all := map[string][]View{}
	if len(b) > maxViewFile || json.Unmarshal(b, &all) != nil {
		return nil, errViewsDamaged
	}
	return all, nil
}

// errViewsDamaged says that the file is none, or sealed under another key.
var errViewsDamaged = errors.New("console: the file of views is damaged: take it away")

// errViews says that no more views are kept.
var errViews = errors.New("console: as many views as are kept")

// Save keeps a view under its name, in place of the one that had it.
func (v *Views) Save(name string, view View) error {
	return v.change(name, func(vs []View) ([]View, error) {
		vs = slices.DeleteFunc(vs, func(x View) bool { return x.Name == view.Name })
		if len(vs) >= maxViews {
			return nil, errViews
		}
		vs = append(vs, view)
		slices.SortFunc(vs, func(a, b View) int { return strings.Compare(a.Name, b.Name) })
		return vs, nil
	})
}

// Drop forgets a view.
func (v *Views) Drop(name, view string) error {
	return v.change(name, func(vs []View) ([]View, error) {
		return slices.DeleteFunc(vs, func(x View) bool { return x.Name == view }), nil
	})
}

func (v *Views) change(name string, do func([]View) ([]View, error)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	all, err := v.all()
	if err != nil {
		return err
	}
	if all[name], err = do(all[name]); err != nil {
		return err
	}
	b, err := json.Marshal(all)
	if err == nil {
		b, err = v.keys.Seal(viewsAD, b)
	}
	if err != nil {
		return fmt.Errorf("console: views: %w", err)
	}
	if err := safefile.MkdirAll(filepath.Dir(v.path)); err != nil {
		return err
	}
	if err := safefile.WriteFile(v.path, b, 0o600); err != nil {
		return err
	}
	return safefile.Remove(v.old)
}

func (c *Console) viewRoutes() []route {
	return []route{{"POST /views", see, c.saveView}, {"POST /views/drop", see, c.dropView}}
}

func (c *Console) saveView(w http.ResponseWriter, r *http.Request, u User) {
	name := strings.Join(strings.Fields(r.PostFormValue("name")), " ")
	q, err := url.ParseQuery(r.PostFormValue("query"))
	s := searchOf(q)
	query := s.query().Encode() // what is no search is left out
	if err != nil || name == "" || utf8.RuneCountInString(name) > maxViewName || !utf8.ValidString(name) || query == "" || len(query) > maxViewURL {
		c.say(w, r, u, http.StatusBadRequest, "The view was not saved.", fmt.Sprintf("It needs a name of at most %d characters, and something that it is narrowed to, in few words.", maxViewName))
		return
	}
	err = c.Views.Save(u.Name, View{name, query})
	if errors.Is(err, errViews) {
		c.say(w, r, u, http.StatusConflict, "The view was not saved.", fmt.Sprintf("You have %d already: drop one first.", maxViews))
		return
	}
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	http.Redirect(w, r, c.urlOf(r, s.listed(c.Rules())), http.StatusSeeOther)
}

func (c *Console) dropView(w http.ResponseWriter, r *http.Request, u User) {
	if err := c.Views.Drop(u.Name, r.PostFormValue("name")); err != nil {
		c.fail(w, r, u, err)
		return
	}
	http.Redirect(w, r, "/queue", http.StatusSeeOther)
}
