package audit_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// childEnv makes the test binary a process that appends until it is killed.
const childEnv = "STANCH_AUDIT_TEST_ROOT"

func TestMain(m *testing.M) {
	if root := os.Getenv(childEnv); root != "" {
		appendForever(root)
		return
	}
	os.Exit(m.Run())
}

// appendForever appends from several goroutines and prints "SEQ DOC" for each
// event whose Append returned.
func appendForever(root string) {
	l, _, err := audit.Open(context.Background(), under(root))
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				e := audit.Event{Kind: audit.Decision, Doc: dlp.NewID(), Channel: dlp.Mail, Action: "allow"}
				seq, err := l.Append(context.Background(), e)
				if err != nil {
					fmt.Println("append:", err)
					return
				}
				fmt.Printf("%d %s\n", seq, e.Doc) // one write: lines do not mix
				if seq%3 == 0 {
					if err := l.Note(context.Background(), audit.Event{Kind: audit.Outcome, Ref: seq, Result: audit.ResultPassed}); err != nil {
						fmt.Println("note:", err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestKilled: every event whose Append returned is in the log after kill -9,
// under its number, and the log is whole.
func TestKilled(t *testing.T) {
	opt := place(t)
	root := strings.TrimSuffix(opt.Dir, "/audit")
	told := map[uint64]string{} // by earlier and this child
	rng := rand.New(rand.NewPCG(1, 2))
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+root)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		left := 1 + rng.IntN(300)
		for sc := bufio.NewScanner(out); sc.Scan(); left-- {
			if left == 0 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			var seq uint64
			var doc string
			if _, err := fmt.Sscanf(sc.Text(), "%d %s", &seq, &doc); err != nil || len(doc) != 26 {
				if left > 0 {
					t.Fatalf("round %d: the child says %q", round, sc.Text())
				}
				continue // cut by the kill
			}
			told[seq] = doc
		}
		cmd.Wait() // it was killed: the error is known

		verify(t, opt)
		l, pending := open(t, opt)
		closeLog(t, l)
		verify(t, opt)
		all := lines(t, opt)
		answered := map[uint64]bool{}
		for _, m := range all {
			if m["kind"] == "outcome" {
				answered[uint64(m["ref"].(float64))] = true
			}
		}
		waits := map[uint64]bool{}
		for _, p := range pending {
			waits[p.Seq] = true
		}
		for seq, doc := range told {
			if int(seq) >= len(all) || all[seq]["doc"] != doc {
				t.Fatalf("round %d: event %d of %s is not in the log", round, seq, doc)
			}
			if waits[seq] == answered[seq] {
				t.Errorf("round %d: event %d pending %v, answered %v", round, seq, waits[seq], answered[seq])
			}
		}
	}
	if len(told) == 0 {
		t.Error("no event was told of")
	}
}
