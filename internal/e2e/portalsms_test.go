package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPickupCodeByText: the code goes to the site's own program and nowhere else, and
// opens the message; that it fails is logged, by no word of its own.
func TestPickupCodeByText(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, sent := filepath.Join(dir, "send"), filepath.Join(dir, "sent")
	write(t, program, fmt.Sprintf("#!/bin/sh\necho \"secret of the program $STANCH_CODE\"\n[ -e %[1]q ] && exit 1\nprintf '%%s %%s %%s' \"$STANCH_RCPT\" \"$STANCH_CODE\" \"$STANCH_ID\" >%[1]q.new && mv %[1]q.new %[1]q\n", sent), 0o755)
	p := newPickupPages(t, fmt.Sprintf("sms_command = [%q]\n", program))
	p.start()
	link := p.sends(pickupMail)
	if status, said, _ := p.ask("POST", link, "/code", "", `{"text":true}`); status != 200 {
		t.Fatalf("%d %v", status, said)
	}
	eventually(t, "the program has run", func() bool { _, err := os.Stat(sent); return err == nil })
	f := strings.Fields(read(t, sent))
	if len(f) != 3 || f[0] != "bob@partner.example" || len(f[1]) != 6 || f[2] != pickupLink.FindStringSubmatch(link)[1] {
		t.Fatalf("the program was told %q", f)
	}
	if n := p.hop.count(); n != 1 {
		t.Errorf("%d mails, want the notice alone", n)
	}
	if status, said, _ := p.ask("POST", link, "/open", "", `{"code":"`+wrong(f[1])+`"}`); status != 403 || said["left"] != 4.0 {
		t.Errorf("a wrong code: %d %v", status, said)
	}
	status, said, _ := p.ask("POST", link, "/open", "", `{"code":"`+f[1]+`"}`)
	token, _ := said["token"].(string)
	if status != 200 || token == "" {
		t.Fatalf("the code: %d %v", status, said)
	}
	if status, _, raw := p.ask("GET", link, "/content", token, ""); status != 200 || len(raw) == 0 {
		t.Errorf("the content: %d, %d bytes", status, len(raw))
	}
	if status, said, raw := p.ask("POST", link, "/code", "", `{"text":true}`); status != 200 || strings.Contains(string(raw), "secret") {
		t.Errorf("a program that fails: %d %v", status, said)
	}
	eventually(t, "that it failed is logged", func() bool { return strings.Contains(p.logged(), "command of a call failed") })
	code := regexp.MustCompile(`\b` + f[1] + `\b`) // not as six of the digits of a time or a digest
	for name, text := range map[string]string{"log": p.logged(), "audit log": p.must("audit", "export")} {
		if code.MatchString(text) || strings.Contains(text, "secret of the program") || strings.Contains(text, "bob@") {
			t.Errorf("the %s tells", name)
		}
	}
}
