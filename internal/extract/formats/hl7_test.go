package formats_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestMessagesOfPythonHL7: the fields of messages, batches and MLLP dumps that another
// program wrote, with signs of its own and its own escapes, say what it says of them.
func TestMessagesOfPythonHL7(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's own, for which python3-hl7 is
	if exec.Command(python, "-c", "import hl7").Run() != nil {
		t.Skip("python3-hl7 is not installed")
	}
	for _, kind := range []string{"messages", "batch", "mllp"} {
		for _, signs := range [][2]string{{"|~^&", `\`}, {"#%!@", "?"}, {"*~:&", `\`}, {"$~%&", `\`}, {"$!%/", "|"}} {
			t.Run(kind+" "+signs[0], func(t *testing.T) {
				cmd := exec.Command(python, "-B", "testdata/messages_hl7.py", kind, signs[0], signs[1])
				cmd.Stderr = os.Stderr
				out, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				var wrote struct {
					File   string
					Values []string
				}
				if err := json.Unmarshal(out, &wrote); err != nil {
					t.Fatal(err)
				}
				a := serve(t, false, limits, []byte(wrote.File))
				if a.texts[""] != wrote.File {
					t.Errorf("the text is not as it was")
				}
				var got []string
				for _, sp := range a.spans["~2"] {
					if sp.Type != "" {
						got = append(got, a.texts["~2"][sp.Start:sp.End])
					}
				}
				if !slices.Equal(got, wrote.Values) {
					t.Errorf("got %q, want %q of\n%s", got, wrote.Values, a.texts["~2"])
				}
				if n := strings.Count(a.texts["~2"], "seen SSN 536-22-814"); n != 2 {
					t.Errorf("%d notes say what their escapes hide, want 2: %s", n, a.texts["~2"])
				}
			})
		}
	}
}

// TestEscapesOfHL7: what an escape stands for is read as well, and what only looks
// like one is text.
func TestEscapesOfHL7(t *testing.T) {
	const head = "MSH|^~\\&|A|B|C|D|20260301||ADT^A01|1|P|2.5\rPID|1||E1234567\r"
	for in, want := range map[string]string{
		`NTE|1||5\X3336\\X2D\22-8145`:                   "NTE|1||536-22-8145",
		`NTE|1||M\XC3BC\ller, J\Xfc\rg`:                 "NTE|1||Müller, Jürg",
		`NTE|1||ends\.br\here\.sp3\and\.in+4\there`:     "NTE|1||ends here and there",
		`NTE|1||\H\536\N\-22\Zx1\-8145`:                 "NTE|1||536-22-8145",
		`NTE|1||\C2842\a\M2442\b\M244243\c`:             "NTE|1||abc",
		`NTE|1||\F\ \S\ \R\ \T\ \E\`:                    `NTE|1||      & \`,
		`NTE|1||a\X0D\b\X0A0B\c`:                        "NTE|1||a b  c",
		`NTE|1||C:\ward\X2D\files\`:                     `NTE|1||C:\ward-files\`,
		`NTE|1||C:\wards\lists, \X2\, \XZZ\, \Q\, \\, `: "",
	} {
		a := serve(t, false, limits, []byte(head+in+"\r"))
		got, again := a.texts["~2"]
		if again != (want != "") || again && got != head+want+"\r" {
			t.Errorf("%s: read again %t: %q, want %q", in, again, got, want)
		}
		if again && !slices.Equal(a.meanings("~2"), []string{"MRN=E1234567@2"}) {
			t.Errorf("%s: got %q", in, a.meanings("~2"))
		}
	}
}

// TestEscapesOfLongMessages: where a message is more than may be held, a number that
// escapes hide is a gap, and other escapes are none.
func TestEscapesOfLongMessages(t *testing.T) {
	const note = "NTE|1||a note of the ward\r"
	small := limits
	small.Memory = 2 << 20
	for in, gap := range map[string]bool{`536\X2D\22\X2D\8145`: true, `536\H\22`: true, `\X31\`: true, `R\T\D, M\Xfc\ller`: false} {
		a := serve(t, false, small, []byte(hl7Message+strings.Repeat(note, 4<<20/len(note))+"NTE|2||"+in+"\r"))
		got := slices.ContainsFunc(a.gaps, func(g dlp.Gap) bool { return g.Cause == dlp.Ambiguous && g.Detail == "escapes" })
		if got != gap || len(a.gaps) > 1 {
			t.Errorf("%s: gaps %v, want one of escapes: %t", in, a.gaps, gap)
		}
	}
}
