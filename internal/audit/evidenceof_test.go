package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
)

// TestEvidenceOf: every event, of long lines and short, is found by its number and
// proved by what it says and nothing else; a line that was changed is not, and its
// neighbour is.
func TestEvidenceOf(t *testing.T) {
	opt := place(t)
	l, _ := open(t, opt)
	for i := range 700 {
		e := decision()
		if i%7 == 0 { // lines of very different lengths
			e.RcptKeys = nil
			for j := range 150 {
				e.RcptKeys = append(e.RcptKeys, fmt.Sprintf("%032x", j))
			}
		}
		appendEvent(t, l, e)
	}
	closeLog(t, l)
	l, _ = open(t, opt)
	defer closeLog(t, l)
	b, err := os.ReadFile(filepath.Join(opt.Dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(b, []byte("\n"))
	for seq := int64(1); seq <= 700; seq++ {
		e, err := l.EvidenceOf(seq)
		if err != nil || len(e.Events) != 1 || e.Events[0].Seq != seq || e.Events[0].Line != string(lines[seq]) {
			t.Fatalf("event %d: %v", seq, err)
		}
		if err := e.Check(e.PublicKey); err != nil {
			t.Fatalf("event %d: %v", seq, err)
		}
	}
	for _, seq := range []int64{-1, 0, 1 << 40} {
		if _, err := l.EvidenceOf(seq); !errors.Is(err, audit.ErrNotYet) {
			t.Errorf("event %d: %v", seq, err)
		}
	}
	if r, err := l.VerifyNow(t.Context()); err != nil || r.Events < 700 {
		t.Errorf("verify: %+v, %v", r, err)
	}
	f, err := os.OpenFile(filepath.Join(opt.Dir, "log"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := int64(len(bytes.Join(lines[:350], []byte("\n"))) + 1 + bytes.Index(lines[350], []byte(`"findings":`)) + len(`"findings":`))
	if _, err := f.WriteAt([]byte("9"), at); err != nil {
		t.Fatal(err)
	}
	if _, err := l.EvidenceOf(350); !errors.Is(err, audit.ErrBroken) {
		t.Errorf("a line that was changed: %v", err)
	}
	if _, err := l.EvidenceOf(351); err != nil {
		t.Errorf("its neighbour: %v", err)
	}
	if _, err := l.VerifyNow(t.Context()); !errors.Is(err, audit.ErrBroken) {
		t.Errorf("verify then: %v", err)
	}
}
