package watchtest

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/watch"
)

// Memory is a watch.Store for tests. With a file it survives the process: every
// write rewrites the whole file, which suits crash tests with few files.
type Memory struct {
	file string

	mu   sync.Mutex
	data contents // guarded by mu
}

type contents struct {
	States []watch.State
	Marks  []mark
	Claims []watch.Claim

	states map[watch.Key]watch.State
	marks  map[watch.Key]dlp.ID
	claims map[dlp.ID]watch.Claim
}

type mark struct {
	Digest watch.Key
	ID     dlp.ID
}

// NewMemory returns a Store that keeps what it is given in file, and starts
// with what is there; with "" it keeps it in memory only.
func NewMemory(file string) (*Memory, error) {
	m := &Memory{file: file, data: contents{states: map[watch.Key]watch.State{},
		marks: map[watch.Key]dlp.ID{}, claims: map[dlp.ID]watch.Claim{}}}
	if file == "" {
		return m, nil
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	d := &m.data
	if err := json.Unmarshal(b, d); err != nil {
		return nil, err
	}
	for _, st := range d.States {
		d.states[st.Key] = st
	}
	for _, k := range d.Marks {
		d.marks[k.Digest] = k.ID
	}
	for _, c := range d.Claims {
		d.claims[c.ID] = c
	}
	return m, nil
}

// save writes everything, synced, by rename. The caller holds mu.
func (m *Memory) save() error {
	if m.file == "" {
		return nil
	}
	d := &m.data
	d.States = slices.Collect(maps.Values(d.states))
	d.Claims = slices.Collect(maps.Values(d.claims))
	d.Marks = d.Marks[:0]
	for k, id := range d.marks {
		d.Marks = append(d.Marks, mark{k, id})
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.file+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(m.file+".new", m.file)
}

// State implements watch.Store.
func (m *Memory) State(_ context.Context, key watch.Key) (watch.State, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st, ok := m.data.states[key]
	return st, ok, nil
}

// PutStates implements watch.Store.
func (m *Memory) PutStates(_ context.Context, states []watch.State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, st := range states {
		m.data.states[st.Key] = st
	}
	return m.save()
}

// PruneStates implements watch.Store.
func (m *Memory) PruneStates(_ context.Context, root watch.Key, t time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.data.states)
	maps.DeleteFunc(m.data.states, func(_ watch.Key, st watch.State) bool { return st.Root == root && st.Seen.Before(t) })
	return before - len(m.data.states), m.save()
}

// Mark implements watch.Store.
func (m *Memory) Mark(_ context.Context, digest watch.Key, id dlp.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data.marks[digest] = id
	return m.save()
}

// Marked implements watch.Store.
func (m *Memory) Marked(_ context.Context, digest watch.Key) (dlp.ID, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id, ok := m.data.marks[digest]
	return id, ok, nil
}

// PutClaim implements watch.Store.
func (m *Memory) PutClaim(_ context.Context, c watch.Claim) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data.claims[c.ID] = c
	return m.save()
}

// DeleteClaim implements watch.Store.
func (m *Memory) DeleteClaim(_ context.Context, id dlp.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.data.claims, id)
	return m.save()
}

// Claims implements watch.Store.
func (m *Memory) Claims(_ context.Context, root watch.Key) ([]watch.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []watch.Claim
	for _, c := range m.data.claims {
		if c.Root == root {
			out = append(out, c)
		}
	}
	return out, nil
}
