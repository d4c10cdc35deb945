package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sendmailRoot is where .ci/deps unpacks Debian's sendmail: as a package it
// does not go beside postfix.
const sendmailRoot = "/var/cache/stanch-tests/sendmail"

// startSendmail runs a Sendmail by the guide's lines named set, which asks at socket
// if that is not "". Mail leaves to next unless the lines say otherwise.
//
// long: the configuration of a Sendmail, line by line
func startSendmail(t *testing.T, set, next, socket string) *site {
	t.Helper()
	bin := filepath.Join(sendmailRoot, "usr/libexec/sendmail/sendmail")
	cf := filepath.Join(sendmailRoot, "usr/share/sendmail/cf")
	for _, p := range []string{bin, cf} {
		if _, err := os.Stat(p); err != nil {
			t.Skip("sendmail is not unpacked; see .ci/deps")
		}
	}
	if os.Getuid() != 0 {
		t.Skip("sendmail starts as root only")
	}
	s := &site{t: t, gateway: newGateway(t, options{}), next: next, mta: freeAddr(t)}
	s.replace(next)
	_, milterPort, _ := strings.Cut(s.replaced.Replace("127.0.0.1:8892"), ":")
	_, relayPort, _ := strings.Cut(s.gateway.addr, ":")
	s.toml = fmt.Sprintf("data_dir = %q\n", s.data()) + s.replaced.Replace(guide(t, "sendmail.md", "stanch.toml", set)) +
		guidePolicies + "[metrics]\nlisten = \"\"\n"
	write(t, s.config, s.toml, 0o600)

	dir, err := os.MkdirTemp("", "sm") // Sendmail trusts no folder that others can write to
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, d := range []string{"queue", "empty"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.folder = dir
	write(t, filepath.Join(dir, "switch"), "hosts files\naliases files\npasswd files\n", 0o600) // asks no DNS
	write(t, filepath.Join(dir, "aliases"), "forward: sam@partner.example\n", 0o600)
	_, port, _ := strings.Cut(s.mta, ":")
	_, nextPort, _ := strings.Cut(next, ":")
	lines := strings.NewReplacer("8892", milterPort, "2525", relayPort).Replace(guide(t, "sendmail.md", "sendmail.mc", set))
	if socket != "" {
		lines = strings.Replace(lines, "inet:"+milterPort+"@127.0.0.1", socket, 1)
	}
	if !strings.Contains(lines, "SMART_HOST") {
		lines += "define(`SMART_HOST', `relay:[127.0.0.1]')dnl\ndefine(`RELAY_MAILER_ARGS', `TCP $h " + nextPort + "')dnl\n"
	}
	mc := fmt.Sprintf(`include(`+"`%[1]s/m4/cf.m4'"+`)dnl
OSTYPE(`+"`linux'"+`)dnl
define(`+"`confDOMAIN_NAME', `mail.clinic.example'"+`)dnl
define(`+"`QUEUE_DIR', `%[2]s/queue'"+`)dnl
define(`+"`ALIAS_FILE', `%[2]s/aliases'"+`)dnl
define(`+"`confPID_FILE', `%[2]s/pid'"+`)dnl
define(`+"`STATUS_FILE', `%[2]s/statistics'"+`)dnl
define(`+"`confSERVICE_SWITCH_FILE', `%[2]s/switch'"+`)dnl
define(`+"`confDONT_PROBE_INTERFACES', `True'"+`)dnl
define(`+"`confTO_IDENT', `0'"+`)dnl
define(`+"`confMIN_QUEUE_AGE', `0'"+`)dnl
define(`+"`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe'"+`)dnl
FEATURE(`+"`no_default_msa'"+`)dnl
FEATURE(`+"`nocanonify'"+`)dnl
FEATURE(`+"`accept_unresolvable_domains'"+`)dnl
DAEMON_OPTIONS(`+"`Port=%[3]s, Addr=127.0.0.1, Name=MTA'"+`)dnl
RELAY_DOMAIN(`+"`127.0.0.1'"+`)dnl
RELAY_DOMAIN(`+"`localhost'"+`)dnl
%[4]sMAILER(`+"`smtp'"+`)dnl
`, cf, dir, port, lines)
	write(t, filepath.Join(dir, "sendmail.mc"), mc, 0o600)
	m4 := exec.Command("m4", "-D_CF_DIR_="+cf+"/", filepath.Join(dir, "sendmail.mc"))
	text, err := m4.Output()
	if err != nil {
		t.Fatalf("m4: %v", err)
	}
	write(t, filepath.Join(dir, "sendmail.cf"), string(text), 0o600)

	// In a host name of its own: with one that has no domain it waits a minute.
	cmd := exec.Command("unshare", "--uts", "sh", "-c", `hostname mail.clinic.example && exec "$0" "$@"`, bin, "-bD", "-q1s", "-C", filepath.Join(dir, "sendmail.cf"), "-D", filepath.Join(dir, "log"),
		"-O", "LogLevel=14", "-O", "DeliveryMode=q", "-O", "RefuseLA=10000", "-O", "QueueLA=10000") // on a busy machine it listens no more, by default
	if set == "smarthost" {
		cmd.Args = append(cmd.Args, "-O", "DeliveryMode=b")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the daemon and its queue runners
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("sendmail said:\n%s", tail(said.String(), 3000))
		}
	})
	eventually(t, "Sendmail listens", func() bool { return listens(s.mta) })
	return s
}

// TestSendmailGuides runs the configurations of docs/sendmail.md.
func TestSendmailGuides(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]integration{
		"milter":     {"milter", "milter", true, false},
		"smart host": {"smarthost", "smarthost", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, messages := startSMTPSink(t)
			s := startSendmail(t, in.set, next, "")
			s.start()
			s.clean(messages)
			s.phi(in, messages)
			s.split(in, messages)
			if in.before {
				s.refused(in)
			}
			s.kill()
			msg := strings.Replace(guideClean, "guide-clean", "guide-down", 1)
			if _, err := s.submit(outside, msg); in.before && code(err)/100 != 4 || !in.before && err != nil {
				t.Errorf("stanch is down: %v", err)
			}
			s.start()
			if in.before {
				if _, err := s.submit(outside, msg); err != nil {
					t.Errorf("stanch is back: %v", err)
				}
			}
			sinkHas(t, messages, "guide-down@")
			s.must("audit", "verify")
		})
	}
}

// TestSendmailQuarantine holds that a Sendmail which is to keep a copy keeps it in
// its quarantine.
func TestSendmailQuarantine(t *testing.T) {
	t.Parallel()
	next, messages := startSMTPSink(t)
	s := startSendmail(t, "milter", next, "")
	write(t, s.config, strings.Replace(s.toml, "[milter]", "[milter]\nheld = \"quarantine\"", 1), 0o600)
	s.start()
	if _, err := s.submit(outside, guidePHI); err != nil {
		t.Errorf("answered %v", err)
	}
	it := s.held()
	if len(it) != 1 {
		t.Fatalf("held %v, want one", it)
	}
	var kept []string
	eventually(t, "it is in Sendmail's quarantine", func() bool {
		kept, _ = filepath.Glob(filepath.Join(s.folder, "queue", "hf*")) // the pattern is sound
		return len(kept) == 1
	})
	if text := read(t, kept[0]); !strings.Contains(text, "X-Stanch-Id: "+it[0].ID) {
		t.Errorf("in quarantine: %s, want it to name %s", text, it[0].ID)
	}
	time.Sleep(2500 * time.Millisecond) // two runs of the queue
	if n := len(messages()); n != 0 {
		t.Errorf("%d left", n)
	}
}
