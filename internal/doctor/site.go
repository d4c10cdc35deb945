package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/extract"
	"github.com/stanch-dlp/stanch/internal/policy"
)

// RulesLoaded is what loading the rules came to.
type RulesLoaded struct {
	Rules  int
	Tests  int
	Digest string
	Err    error // what does not load, or a test that fails
	MRNs   int   // [[site.mrn]] tables
	Lint   []string
	Never  []string // what of the configuration can never hold by these rules, with its line
}

// Rules tells what loading the rules, with their tests, came to.
func Rules(load func(context.Context) RulesLoaded, running string) Check {
	return Check{Name: "rules", Within: time.Minute, Run: func(ctx context.Context) []Finding {
		l := load(ctx)
		if l.Err != nil {
			return []Finding{bad("rules", l.Err.Error(), "Mend the file, and try it with `stanch rules lint`: until then serve does not start, and a reload changes nothing.")}
		}
		out := []Finding{good("rules", "%d rules, %d tests hold, digest %.12s", l.Rules, l.Tests, l.Digest)}
		if running != "" && running != l.Digest {
			out = append(out, poor("rules", fmt.Sprintf("serve judges by %.12s, the files say %.12s", running, l.Digest), "Run `systemctl reload stanch`, or send serve SIGHUP."))
		}
		if l.MRNs == 0 {
			out = append(out, poor("site.mrn", "the site's own record number form is not known: record numbers are found by their label only",
				"Add [[site.mrn]] with the form of your record numbers: see docs/rules.md."))
		} else {
			out = append(out, good("site.mrn", "forms of record numbers: %d", l.MRNs))
		}
		for _, w := range l.Never {
			out = append(out, poor("never holds", w, "Correct the line: the tag or type as `stanch rules list` has it, or the form so that some number has it. Until then it looks like protection and is none."))
		}
		for _, w := range l.Lint {
			out = append(out, poor("lint", w, "See `stanch rules lint`."))
		}
		return out
	}}
}

// Policies looks at what the configuration lets leave. own says that there are
// policies of the site, mailDoor that mail comes here, scanning that it is read.
func Policies(c policy.Config, internal []string, own, mailDoor, scanning bool) Check {
	return Check{Name: "policies", Run: func(context.Context) []Finding {
		var out []Finding
		if !scanning {
			out = append(out, bad("scan.enabled", "scanning is switched off: everything passes unread", "Set scan.enabled = true."))
		}
		if own {
			out = append(out, good("policies", "%d of your own", len(c.Policies)))
		} else {
			out = append(out, poor("policies", "the starter policies decide, as `stanch config init` prints them: none is your own", "Write [[policies]] for your site: see docs/policy.md."))
		}
		held := false
		for _, p := range c.Policies {
			object := "policies " + p.ID
			if p.Mode == "rollout" { // one that is enforced says so
				out = append(out, poor(object, "is being brought in and only watched: what it speaks of leaves, and is only recorded", "Enforce it on the console's roll-out page when its figures are what you expect."))
				continue
			}
			if p.Mode == "monitor" {
				out = append(out, poor(object, "is in monitor mode: what it speaks of leaves, and is only recorded", fmt.Sprintf("Set mode = \"enforce\" in policy %q when the audit log shows what you expect.", p.ID)))
				continue
			}
			if mail(p.Where.Channels) && !slices.Contains([]string{"allow", "tag", "report"}, p.Action) {
				held = true
			}
		}
		if !held && mailDoor {
			out = append(out, bad("policies", "no policy in force holds, encrypts or rejects any mail", `Give one of the policies mode = "enforce" and action = "quarantine".`))
		}
		if c.Defaults.Mode == "monitor" {
			out = append(out, poor("defaults.mode", "is monitor: what could not be read leaves, and is only recorded", `Set defaults.mode = "enforce".`))
		}
		if c.Defaults.Mode == "rollout" {
			out = append(out, poor("defaults.mode", "is being brought in and only watched: what could not be read leaves, and is only recorded", "Enforce on_gap on the console's roll-out page."))
		}
		if c.Defaults.OnGap == "allow" {
			out = append(out, poor("defaults.on_gap", "is allow: what could not be read leaves, an encrypted archive for one", `Set defaults.on_gap = "quarantine".`))
		}
		if len(internal) == 0 && mailDoor {
			out = append(out, poor("smtp.internal_domains", "none: every recipient counts as external", "Name the domains of your organisation in smtp.internal_domains."))
		}
		return out
	}}
}

func mail(channels []string) bool {
	return len(channels) == 0 || slices.ContainsFunc(channels, func(c string) bool { return strings.EqualFold(c, "mail") })
}

// Extraction starts a child and has it read, as serve does. read reads a small
// text; warm sees that the compiled PDF reader works, when there is one; it is
// nil where that is another user's.
func Extraction(read, warm func(context.Context) error, compiled bool,
	selfTest func(context.Context) (extract.Sandbox, error), mode string) Check {
	return Check{Name: "extract", Within: time.Minute, Run: func(ctx context.Context) []Finding {
		const remedy = "Look at the memory limit, and whether this program may start itself again (noexec, a system-call filter)."
		box := sandboxed(ctx, selfTest, mode)
		if err := read(ctx); err != nil {
			if box.Level == Fail && errors.Is(err, extract.ErrSandbox) { // that is why
				return []Finding{box}
			}
			return []Finding{box, bad("child", "does not start or does not read: "+plain(err), remedy)}
		}
		out := []Finding{good("child", "starts, and reads a text")}
		if compiled && warm == nil {
			out = append(out, good("PDF reader", "is compiled; whether it works is seen only by the user that serves"))
		} else if !compiled {
			out = append(out, poor("PDF reader", "is not compiled yet", "The next `stanch serve` compiles it before it opens its doors, which takes up to half a minute."))
		} else if err := warm(ctx); err != nil {
			out = append(out, bad("PDF reader", "does not work: "+plain(err), remedy))
		} else {
			out = append(out, good("PDF reader", "is compiled, and works"))
		}
		return append(out, box)
	}}
}

// PicturesRemedy is the next step where the words in pictures are not read.
const PicturesRemedy = "Install tesseract-ocr and the trained data of extract.ocr.languages, or set extract.ocr.enabled = false; docs/sandbox.md says what its locks need."

// Pictures says whether the words in pictures are read; ocr is extract.Pool.OCR.
func Pictures(mode extract.OCRMode, ocr func() (version, lacks string)) Check {
	return Check{Name: "extract", Within: 3 * time.Minute, Run: func(context.Context) []Finding {
		const object = "pictures"
		if mode == extract.OCROff {
			return []Finding{good(object, "their words are not read (extract.ocr.enabled); defaults.on_image and defaults.on_gap say what becomes of them")}
		}
		version, lacks := ocr()
		switch {
		case lacks == "":
			return []Finding{good(object, "their words are read by tesseract %s, which is locked in and reads a page of its test", version)}
		case mode == extract.OCROn:
			return []Finding{bad(object, "their words cannot be read, and serve does not start without: "+lacks, PicturesRemedy)}
		}
		return []Finding{poor(object, "their words are not read, so that pictures are gaps: "+lacks, PicturesRemedy)}
	}}
}

// sandboxed says how the child is locked in.
func sandboxed(ctx context.Context, selfTest func(context.Context) (extract.Sandbox, error), mode string) Finding {
	const object, remedy = "sandbox", "See docs/sandbox.md for what the kernel, the unit or the container must allow."
	s, err := selfTest(ctx)
	switch {
	case err != nil:
		return bad(object, plain(err), remedy)
	case mode == extract.SandboxOff:
		return bad(object, "is switched off: a document that takes a parser over has all rights of the user that serves",
			`Take sandbox = "off" out of [extract]. `+remedy)
	case !s.Whole():
		return poor(object, "the child is "+s.String(), remedy)
	}
	return good(object, "the child is %s", s)
}
