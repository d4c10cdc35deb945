package control_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Dossiers of a desk: there is one at most, about items.
func (d *desk) Dossiers(_ context.Context, actor string) ([]dossier.Version, error) {
	return []dossier.Version{{ID: "of", Items: d.items}}, d.seen(actor)
}

func (d *desk) Dossier(_ context.Context, id dlp.ID, _ int, actor string) (gateway.Dossier, error) {
	return gateway.Dossier{Version: dossier.Version{ID: id, N: 3, Items: d.items}}, d.seen(actor)
}

func (d *desk) ExportDossier(ctx context.Context, id dlp.ID, actor string) (gateway.Dossier, error) {
	return d.Dossier(ctx, id, 0, actor)
}

func (d *desk) BeginDossier(_ context.Context, title string, items []dlp.ID, keys map[dlp.ID]vault.Opened, actor string) (dlp.ID, error) {
	d.items, d.keys = items, keys[items[0]]
	return dlp.ID(title), d.seen(actor)
}

func (d *desk) GatherDossier(_ context.Context, _ dlp.ID, base int, items []dlp.ID, keys map[dlp.ID]vault.Opened, actor string) error {
	if base != 3 {
		return dossier.ErrChanged
	}
	d.items = append(d.items, items...)
	return d.seen(actor)
}

func (d *desk) AssessDossier(_ context.Context, _ dlp.ID, base int, a dossier.Assessment, actor string) error {
	if base != 3 {
		return dossier.ErrChanged
	}
	if a.Factors[3].Words != "deleted" {
		return dossier.ErrForm
	}
	return d.seen(actor)
}

// TestDossiers: what is said of dossiers is what the gateway itself would say.
func TestDossiers(t *testing.T) {
	d := &desk{}
	c := dial(t, t.TempDir(), d)
	a, b := dlp.NewID(), dlp.NewID()
	keys := map[dlp.ID]vault.Opened{a: {Case: []byte("key of a case")}}
	if id, err := c.BeginDossier(t.Context(), "title", []dlp.ID{a}, keys, ""); err != nil || id != "title" || string(d.keys.Case) != "key of a case" {
		t.Errorf("begin: %q, %v, key %q", id, err, d.keys.Case)
	}
	if err := c.GatherDossier(t.Context(), a, 2, nil, nil, ""); !errors.Is(err, dossier.ErrChanged) {
		t.Errorf("gather of an older version: %v", err)
	}
	if err := c.GatherDossier(t.Context(), a, 3, []dlp.ID{b}, nil, ""); err != nil || !slices.Equal(d.items, []dlp.ID{a, b}) {
		t.Errorf("gather: %v, %v", d.items, err)
	}
	filled := dossier.Assessment{Title: "t", Factors: [4]dossier.Factor{3: {Words: "deleted", Risk: "low"}}}
	if err := c.AssessDossier(t.Context(), a, 3, filled, ""); err != nil {
		t.Errorf("assess: %v", err)
	}
	if err := c.AssessDossier(t.Context(), a, 2, filled, ""); !errors.Is(err, dossier.ErrChanged) {
		t.Errorf("assess an older version: %v", err)
	}
	if all, err := c.Dossiers(t.Context(), ""); err != nil || len(all) != 1 || len(all[0].Items) != 2 {
		t.Errorf("list: %+v, %v", all, err)
	}
	if got, err := c.ExportDossier(t.Context(), a, ""); err != nil || got.ID != a || got.N != 3 {
		t.Errorf("export: %+v, %v", got, err)
	}
	for _, want := range []error{dossier.ErrNotFound, dossier.ErrLarge, dossier.ErrFull, dossier.ErrDamaged, dossier.ErrSlow, dossier.ErrItem} {
		d.err = want
		if _, err := c.Dossier(t.Context(), a, 0, ""); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
