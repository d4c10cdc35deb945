package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/console"
	"github.com/stanch-dlp/stanch/internal/control"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/report"
	"github.com/stanch-dlp/stanch/internal/rulefile"
	"github.com/stanch-dlp/stanch/internal/vault"
	"github.com/stanch-dlp/stanch/patterns"
	"github.com/stanch-dlp/stanch/scanner"
)

// editedBy is src with what ask edits.
func editedBy(cfg *config.Config, src patterns.Source, ask *control.ReplayAsk) patterns.Source {
	if ask.Draft != nil {
		src = withText(src, rulefile.Path(cfg.DataDir), *ask.Draft)
	}
	for _, r := range ask.Rules {
		src = withText(src, r.Path, r.Text)
	}
	return src
}

// side is j as a replay reads by it.
func (j *judges) side() gateway.Side {
	alone := scanner.New(j.set.Alone())
	return gateway.Side{Detect: func() gateway.Masking { return newMasking(j.scanner) }, Decide: asGateway{j}.Decide,
		Knows: func(text string) bool { return knows(alone, text) }, RuleSet: j.set.Digest()}
}

// masking is a scan that keeps what it finds, to mask it.
type masking struct {
	*scanner.Scan
	values map[survived]string
}

func newMasking(s *scanner.Scanner) *masking {
	m := &masking{values: map[survived]string{}}
	m.Scan = s.Begin(scanner.Options{OnFinding: func(f dlp.Finding, raw []byte) {
		m.values[survived{f.Rule, f.Path, f.Start, f.End}] = string(raw)
	}})
	return m
}

// Masked returns the values of found, masked.
func (m *masking) Masked(found []dlp.Finding) []string {
	values := make([]string, len(found))
	for i, f := range found {
		values[i] = m.values[survived{f.Rule, f.Path, f.Start, f.End}]
	}
	return scanner.MaskFindings(found, values)
}

// given are keys that a command has sent along.
func given(keys map[dlp.ID]vault.Opened) console.KeysOf {
	return func(_ context.Context, id dlp.ID) (vault.Opened, error) { return keys[id], nil }
}

// replayOn runs ask on g.
func replayOn(ctx context.Context, g *gateway.Gateway, dir string, now, edited *judges, ask *control.ReplayAsk, within time.Duration, keys console.KeysOf, actor string) (gateway.Replayed, error) {
	codes, err := reviewCodes(ctx, dir, ask.Since)
	if err != nil {
		return gateway.Replayed{}, err
	}
	return g.Replay(ctx, gateway.ReplayQuery{Since: ask.Since, Limit: ask.Limit, Within: within, Keys: keys, Codes: codes, Progress: ask.Progress},
		now.side(), edited.side(), actor)
}

// reviewCodes reads the reasons of reviewers' decisions since then, by document, out
// of the audit log: the last of each. Who decides about a document does so after it came.
func reviewCodes(ctx context.Context, dir string, since time.Time) (map[dlp.ID]string, error) {
	codes := map[dlp.ID]string{}
	review := []byte(`"kind":"` + string(audit.Review) + `"`)
	from, err := audit.PlaceBefore(auditDir(dir), since)
	if err != nil {
		return nil, err
	}
	_, _, err = audit.FollowDir(ctx, auditDir(dir), from, func(line []byte, _ audit.Place) bool {
		var e struct {
			Doc    dlp.ID `json:"doc"`
			Reason string `json:"reason"`
			Result string `json:"result"`
		}
		if bytes.Contains(line, review) && json.Unmarshal(line, &e) == nil && e.Result != audit.ResultHeld { // the first of two decides nothing
			codes[e.Doc] = e.Reason
		}
		return ctx.Err() == nil
	})
	return codes, errors.Join(err, ctx.Err())
}

// Replay runs the draft beside the rules in force.
func (b rulebook) Replay(ctx context.Context, text string, keys console.KeysOf, actor string) (gateway.Replayed, error) {
	now := b.s.inForce()
	edited, wrong, err := b.draft(ctx, text)
	switch {
	case err != nil:
		return gateway.Replayed{}, err
	case len(wrong) > 0:
		return gateway.Replayed{}, &console.DraftError{Problems: wrong}
	}
	ask := &control.ReplayAsk{Since: time.Now().AddDate(0, 0, -console.ReplayDays), Limit: console.ReplayLimit}
	return replayOn(ctx, b.s.gateway, b.s.cfg.DataDir, now, edited, ask, console.ReplayWithin, keys, actor)
}

// Replay runs the rules that ask edits beside those in force.
func (s *server) Replay(ctx context.Context, ask control.ReplayAsk, actor string) (gateway.Replayed, error) {
	now := s.inForce()
	if now == nil {
		return gateway.Replayed{}, errNotRead
	}
	edited, err := s.judgeBy(ctx, now.cfg, func(src patterns.Source) patterns.Source { return editedBy(now.cfg, src, &ask) })
	if err != nil {
		return gateway.Replayed{}, err
	}
	return replayOn(ctx, s.gateway, s.cfg.DataDir, now, edited, &ask, 0, given(ask.Keys), actor)
}

// replayOffline is Replay where no serve runs, by the rules of the configuration.
func (a *app) replayOffline(ctx context.Context, g *gateway.Gateway, ask *control.ReplayAsk, actor string) (out gateway.Replayed, err error) {
	p, err := a.place()
	if err == nil {
		err = p.broken
	}
	if err != nil {
		return out, err
	}
	ex, err := a.readers(ctx, p.cfg)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, ex.Close()) }()
	src, err := a.withPatients(p.cfg, rulesOf(p.cfg))
	if err != nil {
		return out, err
	}
	t, err := a.table(p.cfg)
	if err != nil {
		return out, err
	}
	now, err := newJudges(ctx, p.cfg, src, t, ex)
	if err != nil {
		return out, err
	}
	edited, err := newJudges(ctx, p.cfg, editedBy(p.cfg, src, ask), t, ex)
	if err != nil {
		return out, err
	}
	g.Extract = ex
	return replayOn(ctx, g, p.dir, now, edited, ask, 0, given(ask.Keys), actor)
}

// replayFlags are the flags of rules replay.
type replayFlags struct {
	rules  []string
	draft  string
	days   int
	limit  int
	format string
	who    reviewer
}

func (a *app) rulesReplayCmd() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{Use: "replay (--rules FILE... | --draft FILE)", Short: "Say what edited rules would do otherwise with what was held",
		Long: "Read what was held in the last days, as far as it is still kept, and the sample of what passed ([sample]) once more in the\n" +
			"sandbox, and judge it by the rules in force and by the edited ones: what would be held that passes now, what would pass that is held now, and which decisions of\n" +
			"reviewers the edited rules contradict: released as not_phi and still held, rejected and let pass. Nothing is changed,\n" +
			"and what is printed has values masked. That it was read stands in the audit log, once, with how many documents.\n" +
			"A running serve reads it, by the rules that are in force there; else this command does, by those of the configuration.\n\n" +
			"Exit status: 0 done, 2 usage, configuration or I/O error, 3 some could not be read.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.rulesReplay(cmd.Context(), &f) }}
	cmd.Flags().StringSliceVar(&f.rules, "rules", nil, "rule file or folder, added to the rules in force (repeatable)")
	cmd.Flags().StringVar(&f.draft, "draft", "", "rule file that takes the place of the one that the console writes")
	cmd.Flags().IntVar(&f.days, "days", 30, "what came in so many days")
	cmd.Flags().IntVar(&f.limit, "limit", 1000, "documents at most, the newest")
	f.who.flag(cmd)
	formatFlag(cmd, &f.format, "text", "text", "json")
	return cmd
}

// ask reads the files that are named.
func (f *replayFlags) ask() (ask control.ReplayAsk, err error) {
	switch {
	case len(f.rules) == 0 && f.draft == "":
		return ask, errors.New("want --rules FILE, to add rules, or --draft FILE, in place of the file that the console writes")
	case f.days < 1 || f.days > 36500:
		return ask, errors.New("--days: want 1 or more")
	case f.limit < 1 || f.limit > gateway.MaxReplay:
		return ask, fmt.Errorf("--limit: want 1 to %d", gateway.MaxReplay)
	}
	ask.Since, ask.Limit = time.Now().AddDate(0, 0, -f.days), f.limit
	if f.draft != "" {
		text, err := readRules(f.draft)
		if err != nil {
			return ask, err
		}
		ask.Draft = &text
	}
	for _, path := range f.rules {
		names := []string{path}
		if fi, err := os.Stat(path); err == nil && fi.IsDir() {
			if names, err = filepath.Glob(filepath.Join(globless(path), "*.toml")); err != nil {
				return ask, err
			}
		}
		for _, name := range names {
			text, err := readRules(name)
			if err != nil {
				return ask, err
			}
			ask.Rules = append(ask.Rules, control.RuleText{Path: abs(name), Text: text})
		}
	}
	return ask, nil
}

func readRules(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close() // only read from
	b, err := io.ReadAll(io.LimitReader(f, patterns.MaxFileBytes+1))
	if err == nil && len(b) > patterns.MaxFileBytes {
		err = fmt.Errorf("%s: want a rule file of at most %d bytes", name, patterns.MaxFileBytes)
	}
	return string(b), err
}

func (a *app) rulesReplay(ctx context.Context, f *replayFlags) error {
	ask, err := f.ask()
	if err != nil {
		return err
	}
	end := func() {}
	if movable(a.errs) {
		ask.Progress = func(done, of int) { fmt.Fprintf(a.errs, "\r%d of %d documents read", done, of) }
		end = func() { fmt.Fprint(a.errs, "\r\x1b[K") }
	}
	var out gateway.Replayed
	err = a.withDesk(ctx, func(d control.Desk, actor string) (err error) {
		if ask.Keys, err = f.keys(ctx, d, ask.Since, ask.Limit); err != nil {
			return err
		}
		if g, ok := d.(*gateway.Gateway); ok {
			out, err = a.replayOffline(ctx, g, &ask, actor)
			return err
		}
		c, ok := d.(*control.Client)
		if !ok {
			return errNotRead
		}
		out, err = c.Replay(ctx, ask, actor)
		return err
	})
	end()
	if err != nil {
		return err
	}
	if f.format == "json" {
		err = a.printJSON(out)
	} else {
		err = a.replayText(&out)
	}
	if err == nil && out.Failed+out.Locked > 0 {
		return exitCode(exitNotRead)
	}
	return err
}

// keys opens, with the reviewers' keys that are named, what came since then: nothing
// where none is named.
func (f *replayFlags) keys(ctx context.Context, d control.Desk, since time.Time, limit int) (map[dlp.ID]vault.Opened, error) {
	if len(f.who.files) == 0 {
		return nil, nil
	}
	hs, err := d.ListHeld(ctx, true, "", "")
	if err != nil {
		return nil, err
	}
	kept, err := d.Sampled(ctx, since)
	if err != nil {
		return nil, err
	}
	for _, e := range kept {
		hs = append(hs, gateway.Held{ID: e.ID, Received: e.Received})
	}
	slices.SortFunc(hs, func(a, b gateway.Held) int { return b.Received.Compare(a.Received) })
	out := map[dlp.ID]vault.Opened{}
	for _, h := range hs[:min(len(hs), limit)] {
		if h.Received.Before(since) {
			break
		}
		if h.State == string(vault.Expired) || h.Damaged {
			continue
		}
		keys, err := f.who.open(ctx, d, h.ID)
		switch {
		case err == nil:
			out[h.ID] = keys
		case errors.Is(err, vault.ErrNoContent), errors.Is(err, vault.ErrNotFound):
		default:
			return nil, plainly(h.ID, err)
		}
	}
	return out, nil
}

// whatChanged are the words for a change.
var whatChanged = map[string]string{gateway.NewlyHeld: "newly held", gateway.NoMoreHeld: "no longer held", gateway.Otherwise: "otherwise",
	gateway.ContraReleased: "released as not_phi, and held", gateway.ContraRejected: "rejected, and would pass"}

func (a *app) replayText(r *gateway.Replayed) error {
	var b strings.Builder
	n := map[string]int{}
	var rows [][]string
	for i := range r.Changes {
		c := &r.Changes[i]
		var what []string
		for _, w := range c.What {
			n[w]++
			what = append(what, whatChanged[w])
		}
		rows = append(rows, []string{string(c.ID), c.State, c.Before, c.After, strings.Join(what, "; "), ruleList(c.RulesOff), ruleList(c.RulesOn)})
	}
	fmt.Fprintf(&b, "%s read that came since %s: %d were held, %d of them decided about by reviewers; %d passed, of the sample.\n",
		report.Count(r.Read, "document"), r.Since.Local().Format(time.DateOnly), r.Read-r.Sampled, r.Decided, r.Sampled)
	fmt.Fprintf(&b, "By the edited rules: %d newly held, %d no longer held, %d otherwise; %d of reviewers' decisions contradicted.\n",
		n[gateway.NewlyHeld], n[gateway.NoMoreHeld], n[gateway.Otherwise], n[gateway.ContraReleased]+n[gateway.ContraRejected])
	fmt.Fprintf(&b, "Alike: %d; %d more with the same verdict and other findings.\n", r.Same, r.Found)
	if r.Unread > 0 {
		fmt.Fprintf(&b, "Of %d a part was not read: what is in it counts on neither side, and the edited rules may find something there. A password that a reviewer typed is not kept.\n", r.Unread)
	}
	for _, x := range []struct {
		n    int
		text string
	}{{r.Gone, "whose content is not kept any more"}, {r.Locked, "that the server cannot open: give a reviewer's key with --identity FILE"}, {r.Failed, "that could not be read"}, {r.Untold, "more that changed, and are not told of"}} {
		if x.n > 0 {
			fmt.Fprintf(&b, "Beside them %d %s.\n", x.n, x.text)
		}
	}
	if r.Cut {
		b.WriteString("Older ones were not read: raise --limit to read more.\n")
	}
	if _, err := io.WriteString(a.out, b.String()); err != nil {
		return err
	}
	if len(rows) > 0 {
		fmt.Fprintln(a.out)
		if err := report.Table(a.out, []string{"ID", "STATE", "NOW", "EDITED", "WHAT", "RULES NOW", "RULES EDITED"}, rows, colourful(a.out)); err != nil {
			return err
		}
	}
	rows = nil
	for i := range r.Changes {
		for _, f := range r.Changes[i].Findings {
			rows = append(rows, []string{string(r.Changes[i].ID), partName(f.Part), fmt.Sprint(f.Line), string(f.Rule), orNone(f.Before), orNone(f.After), f.Masked})
		}
	}
	if len(rows) > 0 {
		fmt.Fprintln(a.out)
		if err := report.Table(a.out, []string{"ID", "PART", "LINE", "RULE", "NOW", "EDITED", "VALUE"}, rows, colourful(a.out)); err != nil {
			return err
		}
	}
	rows = nil
	for i := range r.Parts {
		u := &r.Parts[i]
		rows = append(rows, []string{string(u.ID), u.State, u.After, fmt.Sprint(u.Parts), strings.Join(u.Causes, ","), fmt.Sprint(u.Typed)})
	}
	if len(rows) > 0 {
		fmt.Fprintln(a.out)
		if err := report.Table(a.out, []string{"ID", "STATE", "EDITED", "PARTS NOT READ", "CAUSES", "OPENED BY A TYPED PASSWORD"}, rows, colourful(a.out)); err != nil {
			return err
		}
	}
	rows = nil
	for _, x := range r.Rules {
		rows = append(rows, []string{string(x.Rule), fmt.Sprint(x.Before), fmt.Sprint(x.After)})
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	return report.Table(a.out, []string{"RULE", "FINDINGS NOW", "EDITED"}, rows, colourful(a.out))
}

func ruleList(rs []dlp.RuleID) string {
	var s []string
	for _, r := range rs {
		s = append(s, string(r))
	}
	return strings.Join(s, ",")
}

func orNone(confidence string) string {
	if confidence == "" {
		return "-"
	}
	return confidence
}
