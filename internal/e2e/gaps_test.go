package e2e

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/synth"
)

// noise is a picture that does not pack: larger than on_image lets pass.
func noise(t *testing.T) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 300, 300))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		img.Pix[i] = byte(r.Uint32())
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// attached is a clean mail with one attachment, or with a logo in its text.
func attached(name, kind string, data, logo []byte) string {
	m := synth.Mail{From: "ada@clinic.example", To: outside, Subject: "minutes", Paragraphs: []string{"The minutes of the meeting."}, Logo: logo}
	if data != nil {
		m.Attachments = []synth.Attachment{{Member: synth.Member{Name: name, Data: data}, Type: kind}}
	}
	return string(synth.Message(m))
}

// TestGaps: what cannot be read, under each setting that speaks of it.
func TestGaps(t *testing.T) {
	t.Parallel()
	docx := synth.DOCX([]string{"The minutes of the meeting."})
	messages := map[string]string{
		"encrypted":    attached("a.zip", "application/zip", synth.ZipAES("secret", synth.Member{Name: "a.txt", Data: []byte("minutes")}), nil),
		"old cipher":   attached("a.zip", "application/zip", synth.ZipCrypto("secret", synth.Member{Name: "a.txt", Data: []byte("minutes")}), nil),
		"corrupt":      attached("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", docx[:len(docx)/2], nil),
		"unknown":      attached("a.bin", "application/octet-stream", []byte{0, 1, 2, 3, 4, 5, 6, 7, 0xfe}, nil),
		"picture":      attached("a.png", "image/png", synth.Logo(), nil),
		"logo":         attached("", "", nil, synth.Logo()),
		"large inline": attached("", "", nil, noise(t)),
		"whole":        attached("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", docx, nil),
	}
	unread := []string{"corrupt", "encrypted", "old cipher", "unknown"}
	pictures := []string{"large inline", "logo", "picture"}
	tests := []struct {
		name, defaults string
		held           []string // of messages; the others are delivered
		monitored      int      // decisions that say what would have happened
	}{
		{"as it comes", "", slices.Concat(unread, []string{"large inline", "picture"}), 0},
		{"on_gap allow", `on_gap = "allow"`, nil, 0},
		{"every picture is a gap", `on_image = "gap"`, slices.Concat(unread, pictures), 0},
		{"no picture is", `on_image = "allow"`, unread, 0},
		{"monitor", `mode = "monitor"`, nil, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hop := newNextHop(t)
			g := newGateway(t, options{nextHop: hop.addr, extra: quietPolicy + "[defaults]\nnotify = []\n" + tt.defaults})
			g.start()
			var held []string
			for name, msg := range messages {
				answer, err := g.send("ada@clinic.example", outside, msg)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if strings.Contains(answer, "Held for review, id ") {
					held = append(held, name)
				}
			}
			slices.Sort(held)
			want := slices.Sorted(slices.Values(tt.held))
			if !slices.Equal(held, want) {
				t.Errorf("held %q, want %q", held, want)
			}
			if got := hop.count(); got != len(messages)-len(want) {
				t.Errorf("%d delivered, want %d", got, len(messages)-len(want))
			}
			monitored := 0
			for _, e := range g.auditEvents() {
				if e["kind"] == "decision" && e["monitored"] == "quarantine" && e["action"] == "allow" {
					monitored++
				}
			}
			if monitored != tt.monitored {
				t.Errorf("%d monitored decisions, want %d", monitored, tt.monitored)
			}
		})
	}
}

// TestGapOfOneCause: a policy's word about one cause stands above on_gap.
func TestGapOfOneCause(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: `
[[policies]]
id = "passwords-are-fine"
where = { channels = ["mail"], recipients = "external" }
any = [ { gap = "encrypted" } ]
action = "allow"
`})
	g.start()
	zip := attached("a.zip", "application/zip", synth.ZipAES("secret", synth.Member{Name: "a.txt", Data: []byte("minutes")}), nil)
	if answer, err := g.send("ada@clinic.example", outside, zip); err != nil || strings.Contains(answer, "Held") {
		t.Errorf("encrypted: %q, %v; want it delivered", answer, err)
	}
	bin := attached("a.bin", "application/octet-stream", []byte{0, 1, 2, 3, 0xfe}, nil)
	if answer, err := g.send("ada@clinic.example", outside, bin); err != nil || !strings.Contains(answer, "Held") {
		t.Errorf("unknown: %q, %v; want it held", answer, err)
	}
}

// TestMonitor: mail flows as if the policy were absent, and the audit log says
// what it would have done.
func TestMonitor(t *testing.T) {
	t.Parallel()
	g := newGateway(t, options{extra: strings.Replace(quietPolicy, `action = "quarantine"`, "action = \"quarantine\"\nmode = \"monitor\"", 1)})
	g.start()
	answer, err := g.send("ada@clinic.example", outside, phiMail)
	if err != nil || strings.Contains(answer, "Held") {
		t.Fatalf("answered %q, %v", answer, err)
	}
	if n := len(g.delivered()); n != 1 {
		t.Errorf("%d delivered, want 1", n)
	}
	for _, e := range g.auditEvents() {
		if e["kind"] == "decision" && (e["action"] != "allow" || e["monitored"] != "quarantine") {
			t.Errorf("decision %v, want allow, monitored quarantine", e)
		}
	}
}

// auditEvents reads the audit log through the program.
func (g *gateway) auditEvents() []map[string]any {
	g.t.Helper()
	var events []map[string]any
	for line := range strings.SplitSeq(strings.TrimSpace(g.must("audit", "export")), "\n") {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			g.t.Fatalf("audit export: %v: %s", err, line)
		}
		events = append(events, e)
	}
	return events
}
