package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manSection is the section of the manual: programs for users. man-pages(7).
const manSection = "1"

func (a *app) manCmd() *cobra.Command {
	return &cobra.Command{Use: "man DIR", Short: "Write the man pages into a folder", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			when := time.Now()
			if built, err := time.Parse(time.RFC3339, date); err == nil {
				when = built // the same binary writes the same pages
			}
			return writeMan(cmd.Root(), args[0], when)
		}}
}

// writeMan writes a page into dir for a command and each below it that is not
// hidden: stanch-rules-list.1 for `stanch rules list`.
func writeMan(cmd *cobra.Command, dir string, when time.Time) error {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && !c.IsAdditionalHelpTopicCommand() {
			if err := writeMan(c, dir, when); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, manName(cmd)+"."+manSection), []byte(manPage(cmd, when)), 0o644)
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage is the page of one command in the macros of man(7).
func manPage(cmd *cobra.Command, when time.Time) string {
	cmd.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH \"%s\" \"%s\" \"%s\" \"%s\"\n.nh\n", roff(strings.ToUpper(manName(cmd))), manSection, when.UTC().Format(time.DateOnly), roff("stanch "+version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(manName(cmd)), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n\\fB%s\\fP\n", roff(cmd.UseLine()))
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	b.WriteString(".SH DESCRIPTION\n")
	manText(&b, about)
	manFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	manFlags(&b, "OPTIONS OF EVERY COMMAND", cmd.InheritedFlags())
	if cmd.Example != "" {
		b.WriteString(".SH EXAMPLES\n.nf\n")
		for line := range strings.SplitSeq(cmd.Example, "\n") {
			b.WriteString(roffLine(line))
		}
		b.WriteString(".fi\n")
	}
	var also []string
	if cmd.HasParent() {
		also = append(also, manName(cmd.Parent()))
	}
	for _, c := range cmd.Commands() { // in the order of their names
		if c.IsAvailableCommand() && !c.IsAdditionalHelpTopicCommand() {
			also = append(also, manName(c))
		}
	}
	for i, name := range also {
		if i == 0 {
			b.WriteString(".SH SEE ALSO\n")
		} else {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "\\fB%s\\fP(%s)", roff(name), manSection)
	}
	if len(also) > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// manText writes prose: an empty line parts paragraphs, and what is indented
// stands as it is.
func manText(b *strings.Builder, text string) {
	first := true
	for para := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if para = strings.Trim(para, "\n"); para == "" {
			continue
		}
		if !first {
			b.WriteString(".PP\n")
		}
		first = false
		asIs := false
		for line := range strings.SplitSeq(para, "\n") {
			if in := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"); in != asIs {
				asIs = in
				b.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[in])
			}
			b.WriteString(roffLine(line))
		}
		if asIs {
			b.WriteString(".fi\n")
		}
	}
}

func manFlags(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	b.WriteString(".SH " + title + "\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(b, "\\fB\\-%s\\fP, ", f.Shorthand)
		}
		value, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(b, "\\fB\\-\\-%s\\fP", roff(f.Name))
		if value != "" {
			fmt.Fprintf(b, " \\fI%s\\fP", roff(value))
		}
		b.WriteByte('\n')
		b.WriteString(roffLine(usage))
		if d := f.DefValue; d != "" && d != "false" && d != "[]" && d != "0" && d != "0s" {
			b.WriteString(roffLine("(else " + d + ")"))
		}
	})
}

// roffLine is one line of text, which is no request whatever it begins with, and
// may be broken behind a comma. groff(7), Control characters, Hyphenation.
func roffLine(s string) string {
	s = strings.ReplaceAll(roff(s), ",", `,\:`)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s + "\n"
}

var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "\n", " ")

// roff is text that roff prints as it is.
func roff(s string) string { return roffEscapes.Replace(s) }
