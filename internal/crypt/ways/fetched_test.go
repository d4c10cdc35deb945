package ways_test

import (
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/ways"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestFetched: what a directory gave counts when it is pinned, and no sooner.
func TestFetched(t *testing.T) {
	cfg := ways.Default()
	cfg.SMIMEDir, cfg.OpenPGPDir = t.TempDir(), t.TempDir()
	cert, _, _ := certificate(t, named("bob@partner.example"))
	second, _, _ := certificate(t, named("bob@partner.example"))
	nobodys, _, _ := certificate(t, named())
	block, _ := pem.Decode([]byte(cert))
	pgp, _ := key(t, "bob@partner.example")
	state := func(way dlp.Way) ways.Choice {
		t.Helper()
		w, err := ways.Open(cfg, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range w.Choices(t.Context(), dlp.Address{}, addr("bob@partner.example")) {
			if c.Way == way {
				return c
			}
		}
		return ways.Choice{Unfit: "not told"}
	}
	for way, b := range map[dlp.Way][]byte{dlp.SMIME: block.Bytes, dlp.OpenPGP: []byte(pgp)} { // a certificate as it stands in directories: DER
		k, err := ways.ImportFetched(cfg, b, "Bob@partner.example", "wkd", false, time.Now)
		if err != nil || k.Unfit != ways.NotChecked || k.Trust != ways.Fetched {
			t.Fatalf("%s: got %+v, %v", way, k, err)
		}
		if k.Source != "wkd" || time.Since(k.Came) > time.Hour {
			t.Errorf("%s: from %q, at %v", way, k.Source, k.Came)
		}
		if got := state(way); got.Unfit != ways.NotChecked {
			t.Errorf("%s: fetched: got %q", way, got.Unfit)
		}
		if err := ways.Pin(cfg, k.Fingerprint, "bob@partner.example"); err != nil {
			t.Fatal(err)
		}
		if got := state(way); got.Unfit != "" || got.Key.Trust != ways.Pinned {
			t.Errorf("%s: pinned: got %q", way, got.Unfit)
		}
		if k, err := ways.ImportFetched(cfg, b, "bob@partner.example", "wkd", false, time.Now); err != nil || k.Trust != ways.Pinned {
			t.Errorf("%s: once more: %+v, %v", way, k, err)
		}
	}
	if _, err := ways.ImportFetched(cfg, []byte(second), "bob@partner.example", "wkd", false, time.Now); !errors.Is(err, ways.ErrThere) {
		t.Errorf("another key: got %v", err)
	}
	if k, err := ways.ImportFetched(cfg, []byte(second), "bob@partner.example", "wkd", true, time.Now); err != nil || k.Unfit != ways.NotPinned {
		t.Errorf("in the place of a pinned one: got %+v, %v", k, err)
	}
	for _, other := range []string{cert, nobodys, pgp} {
		if _, err := ways.ImportFetched(cfg, []byte(other), "eve@partner.example", "wkd", false, time.Now); !errors.Is(err, ways.ErrOther) {
			t.Errorf("another's: got %v", err)
		}
	}

	// What is there by the administrator's own hand stays their word.
	if k, err := ways.Import(cfg, []byte(certOf(t, "ann@partner.example")), "", false, time.Now); err != nil || k.Trust != ways.Folder {
		t.Errorf("imported: %+v, %v", k, err)
	}
}

func certOf(t *testing.T, address string) string {
	cert, _, _ := certificate(t, named(address))
	return cert
}
