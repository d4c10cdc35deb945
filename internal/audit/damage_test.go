package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
)

// made returns a closed log of n events, each an outcome of nothing.
func made(t testing.TB, n int) audit.Options {
	t.Helper()
	opt := place(t)
	l, _ := open(t, opt)
	for range n {
		appendEvent(t, l, audit.Event{Kind: audit.Start})
	}
	closeLog(t, l)
	return opt
}

func edit(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// cutLines drops lines [from, to).
func cutLines(from, to int) func([]byte) []byte {
	return func(b []byte) []byte {
		ls := bytes.SplitAfter(b, []byte("\n"))
		return bytes.Join(append(ls[:from:from], ls[to:]...), nil)
	}
}

func TestTamperingShows(t *testing.T) {
	for _, tc := range []struct {
		name       string
		damage     func(t *testing.T, opt audit.Options)
		wantVerify string // in its error
		wantOpen   bool   // Open refuses too
	}{
		{"a line changed", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "log"), func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"seq":7,`), []byte(`"seq":8,`), 1)
			})
		}, "line 7: it is not what was signed", false},
		{"the last line changed", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "log"), func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"seq":20,"time":"2`), []byte(`"seq":20,"time":"1`), 1)
			})
		}, "line 20: it is not what was signed", true},
		{"a line taken out", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "log"), cutLines(5, 6))
		}, "line 5: it ends at line 20, its head says 21", true},
		{"a line doubled", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "log"), func(b []byte) []byte {
				ls := bytes.SplitAfter(b, []byte("\n"))
				return bytes.Join(append(ls[:6:6], ls[5:]...), nil)
			})
		}, "line 6: it is not what was signed", true},
		{"the tail cut", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "log"), cutLines(15, 21))
		}, "it ends at line 15, its head says 21", true},
		{"the tail and its hashes cut", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "log"), cutLines(15, 21))
			edit(t, filepath.Join(opt.Dir, "hashes"), func(b []byte) []byte { return b[:26*32] })
		}, "it ends at line 15, its head says 21", true},
		{"all lines gone", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "log"), func([]byte) []byte { return nil })
		}, "it ends at line 0, its head says 21", true},
		{"the log gone", func(t *testing.T, opt audit.Options) { os.Remove(filepath.Join(opt.Dir, "log")) },
			"the log is gone", true},
		{"the head gone", func(t *testing.T, opt audit.Options) { os.Remove(opt.AnchorPath) },
			"its head outside the folder is missing", true},
		{"the head forged", func(t *testing.T, opt audit.Options) {
			edit(t, opt.AnchorPath, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("low"), []byte("hig")) })
		}, "its head outside the folder is not signed by this key", true},
		{"the checkpoint gone", func(t *testing.T, opt audit.Options) { os.Remove(filepath.Join(opt.Dir, "checkpoint")) },
			"its checkpoint is missing", false},
		{"the checkpoint forged", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "checkpoint"), func(b []byte) []byte { return bytes.Replace(b, []byte("21"), []byte("20"), 1) })
		}, "its checkpoint is not signed by this key", false},
		{"a stored hash changed", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "hashes"), func(b []byte) []byte { b[0] ^= 1; return b })
		}, "line 0: its stored hash was changed", false},
		{"a line put behind", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "log"), func(b []byte) []byte { return append(b, "{\"v\":1,\"seq\":21}\n"...) })
		}, "17 bytes follow the end of a log that was closed", true},
		{"another log in its place", func(t *testing.T, opt audit.Options) {
			other := made(t, 20)
			for _, name := range []string{"log", "hashes", "checkpoint"} {
				b, err := os.ReadFile(filepath.Join(other.Dir, name))
				if err != nil {
					t.Fatal(err)
				}
				edit(t, filepath.Join(opt.Dir, name), func([]byte) []byte { return b })
			}
		}, "its checkpoint is not signed by this key", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			opt := made(t, 20)
			tc.damage(t, opt)
			_, err := audit.Verify(t.Context(), opt.Dir, opt.AnchorPath, opt.Key)
			if !errors.Is(err, audit.ErrBroken) || !strings.Contains(err.Error(), tc.wantVerify) {
				t.Errorf("Verify = %v, want %q", err, tc.wantVerify)
			}
			before, _ := os.ReadFile(filepath.Join(opt.Dir, "log"))
			l, _, err := audit.Open(t.Context(), opt)
			if err == nil {
				closeLog(t, l)
			}
			if got := errors.Is(err, audit.ErrBroken); got != tc.wantOpen {
				t.Errorf("Open = %v, want refusal %v", err, tc.wantOpen)
			}
			if after, _ := os.ReadFile(filepath.Join(opt.Dir, "log")); tc.wantOpen && !bytes.Equal(before, after) {
				t.Error("Open changed the evidence")
			}
		})
	}
}

func TestKeyGone(t *testing.T) {
	opt := made(t, 3)
	if err := os.Remove(opt.Key); err != nil {
		t.Fatal(err)
	}
	if _, _, err := audit.Open(t.Context(), opt); !errors.Is(err, audit.ErrBroken) {
		t.Errorf("Open without the key = %v, want ErrBroken", err)
	}
	if _, err := os.Stat(opt.Key); err == nil {
		t.Error("a new key was made for an old log")
	}
}

func TestOneSlotLost(t *testing.T) {
	opt := made(t, 20)
	b, err := os.ReadFile(opt.AnchorPath)
	if err != nil {
		t.Fatal(err)
	}
	for slot := range 2 {
		t.Run(fmt.Sprintf("slot %d", slot), func(t *testing.T) {
			torn := bytes.Clone(b)
			clear(torn[slot*audit.SlotSize+100 : (slot+1)*audit.SlotSize])
			if err := os.WriteFile(opt.AnchorPath, torn, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := audit.Verify(t.Context(), opt.Dir, opt.AnchorPath, opt.Key)
			// Of the two heads one is that of the closed log. Without it the
			// head outside is behind the checkpoint, or says the same.
			if err != nil && !errors.Is(err, audit.ErrBroken) || err == nil && r.Events != 20 {
				t.Errorf("Verify = %+v, %v", r, err)
			}
		})
	}
}

// crashed returns the log of opt as a crash would leave it: without the head
// of a closed log, and with the given bytes behind the lines.
func crashed(t *testing.T, n int, behind string) audit.Options {
	t.Helper()
	opt := place(t)
	l, _ := open(t, opt)
	for range n {
		appendEvent(t, l, audit.Event{Kind: audit.Start})
	}
	copyTo := under(t.TempDir())
	for from, to := range map[string]string{
		filepath.Join(opt.Dir, "log"):        filepath.Join(copyTo.Dir, "log"),
		filepath.Join(opt.Dir, "hashes"):     filepath.Join(copyTo.Dir, "hashes"),
		filepath.Join(opt.Dir, "checkpoint"): filepath.Join(copyTo.Dir, "checkpoint"),
		opt.AnchorPath:                       copyTo.AnchorPath,
		opt.Key:                              copyTo.Key,
	} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, b, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	closeLog(t, l)
	edit(t, filepath.Join(copyTo.Dir, "log"), func(b []byte) []byte { return append(b, behind...) })
	return copyTo
}

func TestCrash(t *testing.T) {
	for _, tc := range []struct {
		name   string
		behind string
		damage func(t *testing.T, opt audit.Options)
		want   []string // kinds behind the ten events
	}{
		{"between groups", "", nil, nil},
		{"in a line", `{"v":1,"seq":11,"ti`, nil, []string{"tail_cut"}},
		{"in the room kept ahead", strings.Repeat("\x00", 300), nil, []string{"tail_cut"}},
		{"a line without its seal", "{\"v\":1,\"seq\":11,\"kind\":\"start\",\"mac\":\"0123456789abcdef\"}\n", nil, []string{"tail_cut"}},
		{"hashes not written", "", func(t *testing.T, opt audit.Options) {
			edit(t, filepath.Join(opt.Dir, "hashes"), func(b []byte) []byte { return b[:100] })
		}, nil},
		{"hashes gone", "", func(t *testing.T, opt audit.Options) { os.Remove(filepath.Join(opt.Dir, "hashes")) }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			opt := crashed(t, 10, tc.behind)
			if tc.damage != nil {
				tc.damage(t, opt)
			}
			if r := verify(t, opt); r.Events != 10 || r.Torn != int64(len(tc.behind)) {
				t.Errorf("Verify = %+v, want 10 events, %d bytes torn", r, len(tc.behind))
			}
			l, _ := open(t, opt)
			appendEvent(t, l, audit.Event{Kind: audit.Stop})
			closeLog(t, l)
			verify(t, opt)
			var got []string
			for _, m := range lines(t, opt)[11:] {
				got = append(got, m["kind"].(string))
			}
			if want := append(tc.want, "stop"); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("kinds = %q, want %q", got, want)
			}
		})
	}
}

// TestHeadBehind: the head of the first event survived a power cut, the log is
// longer.
func TestHeadBehind(t *testing.T) {
	opt := crashed(t, 10, "")
	early := crashedHead(t, opt)
	if err := os.WriteFile(opt.AnchorPath, early, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(opt.Dir, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, opt)
	closeLog(t, l)
	r := verify(t, opt)
	all := lines(t, opt)
	last := all[len(all)-1]
	if r.Events != 11 || last["kind"] != "tail_kept" || last["ref"] != 10.0 {
		t.Errorf("%+v, last line %v, want the events kept and told of", r, last)
	}
}

// crashedHead returns the anchor of opt without its newest slot.
func crashedHead(t *testing.T, opt audit.Options) []byte {
	t.Helper()
	b, err := os.ReadFile(opt.AnchorPath)
	if err != nil {
		t.Fatal(err)
	}
	newest := 0 // gens count up by one: the tenth event's head has gen 11
	if bytes.Contains(b[audit.SlotSize:], []byte("\ngen 11\n")) {
		newest = 1
	}
	clear(b[newest*audit.SlotSize : (newest+1)*audit.SlotSize])
	return b
}

func TestCrashWhileBeginning(t *testing.T) {
	opt := made(t, 0)
	if err := errors.Join(os.Remove(opt.AnchorPath), os.Remove(filepath.Join(opt.Dir, "checkpoint"))); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, opt)
	appendEvent(t, l, audit.Event{Kind: audit.Start})
	closeLog(t, l)
	verify(t, opt)
}

// FuzzAnyByteShows: no byte of a closed log can be another without Verify
// saying so.
func FuzzAnyByteShows(f *testing.F) {
	f.Add(uint32(0), byte(1), uint8(0))
	f.Add(uint32(3000), byte(0x80), uint8(0))
	f.Add(uint32(64), byte(1), uint8(1))
	f.Add(uint32(1030), byte(1), uint8(2))
	f.Add(uint32(20), byte(1), uint8(3))
	opt := made(f, 20)
	files := []string{filepath.Join(opt.Dir, "log"), filepath.Join(opt.Dir, "hashes"), opt.AnchorPath, filepath.Join(opt.Dir, "checkpoint")}
	f.Fuzz(func(t *testing.T, at uint32, change byte, which uint8) {
		if change == 0 {
			return
		}
		path := files[int(which)%len(files)]
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(good)
		bad[int(at)%len(bad)] ^= change
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = audit.Verify(context.Background(), opt.Dir, opt.AnchorPath, opt.Key)
		if werr := os.WriteFile(path, good, 0o600); werr != nil {
			t.Fatal(werr)
		}
		if err != nil && !errors.Is(err, audit.ErrBroken) {
			t.Errorf("Verify = %v", err)
		}
		if err == nil && path != opt.AnchorPath { // of the anchor one slot is enough
			t.Errorf("byte %d of %s changed, and Verify is content", int(at)%len(bad), filepath.Base(path))
		}
	})
}
