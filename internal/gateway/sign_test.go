package gateway_test

import (
	"path/filepath"
	"strings"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"github.com/stanch-dlp/stanch/internal/dkim"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// signing gives the bench a key of example, and returns how its signatures
// look, if any, on a message.
func signing(t *testing.T, b *bench) (verified func(m string) []error) {
	t.Helper()
	c := dkim.Config{Domain: "clinic.example", Selector: "s", Key: filepath.Join(t.TempDir(), "key")}
	key, err := dkim.Make(dkim.Ed25519, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	record, err := dkim.Record(key)
	if err != nil {
		t.Fatal(err)
	}
	if b.Sign, err = dkim.New(c); err != nil {
		t.Fatal(err)
	}
	return func(m string) (errs []error) {
		vs, err := msgauth.VerifyWithOptions(strings.NewReader(m), &msgauth.VerifyOptions{
			LookupTXT: func(string) ([]string, error) { return []string{record}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range vs {
			errs = append(errs, v.Err)
		}
		return errs
	}
}

// TestSigned: what the gateway writes or tags is signed once, what it passes on
// is not.
func TestSigned(t *testing.T) {
	const ours = "From: Ada <ada@clinic.example>\r\n" + named
	tag := dlp.RcptVerdict{Action: dlp.AddTag, Policy: "p"}
	for _, tc := range []struct {
		name, text string
		verdict    dlp.RcptVerdict
		want       int
	}{
		{"passed as it came", ours, dlp.RcptVerdict{Action: dlp.Allow}, 0},
		{"tagged", ours, tag, 1},
		{"tagged, of another domain", strings.Replace(ours, "clinic.example>", "partner.example>", 1), tag, 0},
		{"tagged, without From", named, tag, 0},
		{"tagged, with a bare LF", ours + "a\nb", tag, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := looping(t, newBench(t))
			verified := signing(t, b)
			b.verdict[out.String()] = tc.verdict
			if got := b.Message(t.Context(), withText(tc.text, out), b.hop); got.Kind != dlp.Passed {
				t.Fatalf("outcome %v", got.Kind)
			}
			m := b.hop.sent[0]
			if !strings.HasSuffix(m, tc.text) {
				t.Errorf("what came has changed: %q", m)
			}
			vs := verified(m)
			if len(vs) != tc.want || tc.want > 0 && vs[0] != nil {
				t.Errorf("signatures %v, want %d", vs, tc.want)
			}
			// It comes back signed, and is tagged again: not twice.
			if tc.want > 0 {
				if got := b.Message(t.Context(), withText(m, in), b.hop); got.Kind != dlp.Passed {
					t.Fatalf("outcome %v", got.Kind)
				}
				b.verdict[in.String()] = tc.verdict
				b.Message(t.Context(), withText(m, in), b.hop)
				if vs := verified(b.hop.sent[len(b.hop.sent)-1]); len(vs) != 1 || vs[0] != nil && !strings.Contains(tc.name, "bare") {
					t.Errorf("signatures after a second tag %v, want the one", vs)
				}
			}
		})
	}
}

// TestOwnMessagesAreSigned: a DSN is, and its copy of the message is not.
func TestOwnMessagesAreSigned(t *testing.T) {
	b := looping(t, newBench(t))
	verified := signing(t, b)
	b.verdict[out.String()] = dlp.RcptVerdict{Action: dlp.Reject, Policy: "p"}
	if got := b.Message(t.Context(), withText(named, in, out), b.hop); got.Kind != dlp.Split {
		t.Fatalf("outcome %v", got.Kind)
	}
	drain(t, b)
	for _, m := range b.hop.deliveredText {
		want := 0
		if strings.Contains(m, "multipart/report") {
			want = 1
		}
		if vs := verified(m); len(vs) != want || want > 0 && vs[0] != nil {
			t.Errorf("signatures %v, want %d: %s", vs, want, m)
		}
	}
}
