package smtp_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/smtp"
)

func TestMaildir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	m, err := smtp.NewMaildir(dir)
	if err != nil {
		t.Fatal(err)
	}
	body := string(randomBody(1, 200_000))
	ds := smtp.Deliver(t.Context(), m, ann, []dlp.Address{bob, {Local: "a b", Domain: "x.test"}}, nil, smtp.MailOptions{}, source("Subject: x\r\n\r\n"+body))
	for _, d := range ds {
		if d.Err != nil || d.Reply.Code != 250 {
			t.Errorf("got %+v", d)
		}
	}
	files := list(t, dir, "new")
	if len(files) != 1 || len(list(t, dir, "tmp")) != 0 {
		t.Fatalf("got %v in new, %v in tmp", files, list(t, dir, "tmp"))
	}
	path := filepath.Join(dir, "new", files[0])
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "file", string(got), "Return-Path: <ann@clinic.example>\r\nX-Envelope-To: <bob@out.test>\r\nX-Envelope-To: <\"a b\"@x.test>\r\nSubject: x\r\n\r\n"+body)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v", info.Mode(), err)
	}
}

func TestMaildirLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	m, err := smtp.NewMaildir(dir)
	if err != nil {
		t.Fatal(err)
	}
	begin := func() smtp.Transaction {
		tx, _, err := m.Begin(t.Context(), ann, smtp.MailOptions{}, toBob)
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	if r, err := begin().Send(t.Context(), nil, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("disk failed")))); err != nil || r.Code != 451 {
		t.Errorf("unreadable message: got %+v, %v, want 451", r, err)
	}
	tx := begin()
	if err := tx.Reset(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := tx.Send(t.Context(), nil, strings.NewReader("x")); err == nil {
		t.Error("sent after Reset")
	}
	os.RemoveAll(filepath.Join(dir, "new"))
	if r, err := begin().Send(t.Context(), nil, strings.NewReader("x\r\n")); err != nil || r.Code != 451 {
		t.Errorf("no folder: got %+v, %v, want 451", r, err)
	}
	if got := list(t, dir, "tmp"); len(got) != 0 {
		t.Errorf("got %v left in tmp", got)
	}
}

func TestMaildirSweeps(t *testing.T) {
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "tmp"), 0o700)
	for _, name := range []string{"1.x.stanch", "someone.else"} {
		file := filepath.Join(dir, "tmp", name)
		os.WriteFile(file, nil, 0o600)
		old := time.Now().Add(-37 * time.Hour)
		os.Chtimes(file, old, old)
	}
	os.WriteFile(filepath.Join(dir, "tmp", "2.y.stanch"), nil, 0o600) // being written by another process
	if _, err := smtp.NewMaildir(dir); err != nil {
		t.Fatal(err)
	}
	if got := list(t, dir, "tmp"); !slices.Equal(got, []string{"2.y.stanch", "someone.else"}) {
		t.Errorf("got %v, want what is not ours and what may be being written", got)
	}
	file := filepath.Join(dir, "file")
	os.WriteFile(file, nil, 0o600)
	if _, err := smtp.NewMaildir(file); err == nil || strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error without the path", err)
	}
}

func list(t *testing.T, dir, sub string) []string {
	t.Helper()
	es, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range es {
		out = append(out, e.Name())
	}
	return out
}
