package age_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	filippo "filippo.io/age"

	"github.com/stanch-dlp/stanch/internal/crypt"
	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/crypt/strict"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// certified returns the key of a reviewer who has a certificate, and that.
func certified(t *testing.T, key crypto.Signer) (filippo.Identity, string) {
	t.Helper()
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-time.Hour)} // what counts is the key
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := strict.ReadReader(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		t.Fatal(err)
	}
	ids, err := age.ReadIdentities(strings.NewReader(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))))
	if err != nil || len(ids) != 1 || !age.Reads(ids[0], reader) {
		t.Fatalf("%d identities, %v", len(ids), err)
	}
	return ids[0], reader
}

func certifiedPair(t *testing.T) (ids []filippo.Identity, readers []string) {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []crypto.Signer{ec, rs} {
		id, reader := certified(t, k)
		ids, readers = append(ids, id), append(readers, reader)
	}
	return ids, readers
}

// TestStrictPeriods leads a vault from age to certificates: what is held since is
// sealed by what FIPS 140 approves alone, what was held before opens by the same
// people once its keys are sealed anew, and so it goes back.
func TestStrictPeriods(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.keys")
	server, ann := identity(t), identity(t)
	ids, readers := certifiedPair(t)
	p := periods(t, age.PeriodsConfig{Path: path, Server: server, Reviewers: public(ann)})
	old := hold(t, p)
	p = periods(t, age.PeriodsConfig{Path: path, Server: server, Reviewers: readers, Only: true}, old.period)
	now := hold(t, p)
	if strings.Contains(string(now.sealed), "age-encryption") || !strings.HasPrefix(string(now.sealed), "stanch-strict/1\n") {
		t.Errorf("what is held begins with %.30q", now.sealed)
	}
	for again := range 2 { // the start that takes the release key away, and the next
		if again == 1 {
			p = periods(t, age.PeriodsConfig{Path: path, Reviewers: readers, Only: true}, old.period, now.period)
		}
		for name, h := range map[string]held{"held before": old, "held now": now} {
			for _, id := range ids {
				got, err := h.by(t, p, id)
				wants(t, name, got, err)
			}
			_, err := h.by(t, p, ann)
			refuses(t, name+", by who is no reviewer any more", err, crypt.ErrWrongKey)
			_, err = h.open(p, nil)
			refuses(t, name+", by the server", err, vault.ErrLocked)
		}
	}
	moved := now
	moved.id = dlp.NewID()
	_, err := moved.by(t, p, ids[0])
	refuses(t, "under another name", err, age.ErrTampered)
	cut := now
	cut.sealed = now.sealed[:len(now.sealed)-1]
	_, err = cut.by(t, p, ids[0])
	refuses(t, "cut short", err, age.ErrTampered)

	p = periods(t, age.PeriodsConfig{Path: path, Reviewers: public(ann), Only: true}, old.period, now.period)
	_, err = now.by(t, p, ann)
	refuses(t, "somebody new, before the keys are sealed anew", err, crypt.ErrWrongKey)
	sealed := map[dlp.ID][][]byte{}
	st := p.Stands(true)
	for _, x := range st.Periods {
		if x.Stale {
			if sealed[x.ID], err = age.Reseal(x, st.Readers, st.Needed, ids[1:]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Accept(sealed); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]held{"held by age": old, "held by certificates": now, "held by age again": hold(t, p)} {
		got, err := h.by(t, p, ann)
		wants(t, name, got, err)
		_, err = h.by(t, p, ids...)
		refuses(t, name+", by the certificates", err, crypt.ErrWrongKey)
	}
}

// TestStrictPairs: of two reviewers with certificates one does not do, in either
// order, and a stranger beside one neither.
func TestStrictPairs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.keys")
	ids, readers := certifiedPair(t)
	others, _ := certifiedPair(t)
	p := periods(t, age.PeriodsConfig{Path: path, Server: identity(t), Reviewers: readers, Only: true, Needed: 2})
	h := hold(t, p)
	for _, one := range ids {
		_, err := h.by(t, p, one)
		if err == nil {
			t.Error("one of two opens it")
		}
		if _, err = h.by(t, p, one, others[0]); err == nil {
			t.Error("one of two and a stranger open it")
		}
	}
	got, err := h.by(t, p, ids[1], ids[0])
	wants(t, "both", got, err)
	_, err = h.by(t, p, ids[0])
	refuses(t, "the first", err, age.ErrNotEnough)
	b, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(b), `"v": 2`) {
		t.Errorf("the file's form is not 2: %v", err)
	}
}
