package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/drill"
)

func (d *desk) Drills(_ context.Context, actor string) ([]drill.Drill, error) {
	return []drill.Drill{{Name: "spring"}}, d.seen(actor)
}

func (d *desk) Drill(_ context.Context, id dlp.ID, actor string) (drill.Drill, error) {
	return drill.Drill{ID: id}, d.seen(actor)
}

func (d *desk) StartDrill(_ context.Context, p drill.Plan, actor string) (drill.Drill, error) {
	return drill.Drill{Name: p.Name, To: p.To.String(), Ends: time.Unix(int64(p.For.Seconds()), 0)}, d.seen(actor)
}

func (d *desk) StopDrill(_ context.Context, _ dlp.ID, actor string) error {
	return errors.Join(drill.ErrEnded, d.seen(actor))
}

func TestDrills(t *testing.T) {
	d := &desk{}
	c := dial(t, t.TempDir(), d)
	id := dlp.NewID()
	if all, err := c.Drills(t.Context(), ""); err != nil || len(all) != 1 || all[0].Name != "spring" {
		t.Errorf("list: %+v, %v", all, err)
	}
	if got, err := c.Drill(t.Context(), id, ""); err != nil || got.ID != id {
		t.Errorf("show: %+v, %v", got, err)
	}
	p := drill.Plan{Name: "spring", To: dlp.Address{Local: "sam", Domain: "partner.example"}, For: time.Minute}
	if got, err := c.StartDrill(t.Context(), p, ""); err != nil || got.Name != "spring" || got.To != "sam@partner.example" || got.Ends.Unix() != 60 {
		t.Errorf("start: %+v, %v", got, err)
	}
	if err := c.StopDrill(t.Context(), id, ""); !errors.Is(err, drill.ErrEnded) {
		t.Errorf("stop: %v", err)
	}
}
