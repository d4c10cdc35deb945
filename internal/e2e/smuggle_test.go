package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	noneBad = regexp.MustCompile(`(?m)^cases=[1-9][0-9]* bad=0 *$`)
	intact  = regexp.MustCompile(`(?m)\bok: intact\b`)
)

// mostIntact is how many of smuggle's bodies arrive as they were sent, at least:
// what refuses everything has no bad case either.
const mostIntact = 8

// TestSmuggle runs every case of smuggle against the gateway: ends of data,
// commands inside others, bodies that must stay as they are, STARTTLS with more
// behind it. The next hop reads strictly, or every way there is, which shows
// that nothing ambiguous was passed on.
func TestSmuggle(t *testing.T) {
	t.Parallel()
	if tools == "" {
		t.Skip("smuggle and the sink are not beside the checkout")
	}
	patience := "3s"
	if os.Getenv("STANCH_LONG") == "1" {
		patience = "6s"
	}
	for _, eod := range []string{"strict", "all"} {
		t.Run(eod, func(t *testing.T) {
			t.Parallel() // each mostly waits for answers that must not come
			dir := t.TempDir()
			cmds := filepath.Join(dir, "commands.jsonl")
			sinkAddr, sinkLedger := startSink(t, dir, "-eod", eod, "-cmdlog", cmds)
			cert, key := selfMade(t)
			// A text of five bytes with a NUL among them is a gap: that it would
			// be held is no matter of this test.
			g := newGateway(t, options{nextHop: sinkAddr, extra: quietPolicy + "\n[defaults]\non_gap = \"allow\"\n",
				smtp: fmt.Sprintf("tls_cert = %q\ntls_key = %q", cert, key)})
			g.start()
			args := []string{"-relay", g.addr, "-sink-ledger", sinkLedger, "-sink-cmdlog", cmds, "-timeout", patience}
			if os.Getenv("STANCH_LONG") == "1" {
				args = append(args, "-stall", "70s")
			}
			out, err := exec.Command(filepath.Join(tools, "smuggle"), args...).CombinedOutput()
			t.Logf("%s", out)
			if err != nil || !noneBad.Match(out) {
				t.Errorf("smuggle: %v", err)
			}
			if n := len(intact.FindAll(out, -1)); n < mostIntact || bytes.Contains(out, []byte("not supported")) {
				t.Errorf("%d bodies arrived whole, want %d at least, and every extension offered", n, mostIntact)
			}
			g.must("audit", "verify")
		})
	}
}
