package smtp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Maildir is a NextHop that keeps each message as one file in DIR/new, with
// CRLF line ends as it came. In front stand Return-Path and an X-Envelope-To
// line for each recipient.
//
// Source: https://cr.yp.to/proto/maildir.html
type Maildir struct {
	dir string
}

// maildirSuffix marks our own files, so that only they are swept from tmp.
const maildirSuffix = ".stanch"

// maildirLeft is how long a file in tmp must have lain still to be one that
// nobody is writing any more: a reload or an upgrade opens the folder while
// deliveries go on. Source: https://cr.yp.to/proto/maildir.html, 36 hours.
const maildirLeft = 36 * time.Hour

// NewMaildir makes dir and its folders, and removes what an earlier run left
// unfinished in tmp.
func NewMaildir(dir string) (*Maildir, error) {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("smtp: maildir: %w", cause(err))
		}
	}
	left, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil {
		return nil, fmt.Errorf("smtp: maildir: %w", cause(err))
	}
	for _, e := range left {
		info, err := e.Info()
		if err == nil && strings.HasSuffix(e.Name(), maildirSuffix) && time.Since(info.ModTime()) > maildirLeft {
			_ = os.Remove(filepath.Join(dir, "tmp", e.Name())) // left behind, it harms nobody
		}
	}
	return &Maildir{dir: dir}, nil
}

// Begin opens a transaction; it cannot fail.
func (m *Maildir) Begin(ctx context.Context, from dlp.Address, _ MailOptions, first Recipient) (Transaction, dlp.Reply, error) {
	tx := &maildirTx{m: m, from: from}
	r, err := tx.Rcpt(ctx, first.Addr, first.Params)
	return tx, r, err
}

type maildirTx struct {
	m     *Maildir
	from  dlp.Address
	rcpts []dlp.Address
	ended bool
}

// Rcpt takes any recipient.
func (t *maildirTx) Rcpt(_ context.Context, rcpt dlp.Address, _ dlp.RcptParams) (dlp.Reply, error) {
	t.rcpts = append(t.rcpts, rcpt)
	return replyRcptOK, nil
}

// Reset forgets the transaction.
func (t *maildirTx) Reset(context.Context) error {
	t.ended = true
	return nil
}

// Send delivers: the file is written to tmp and synced, renamed to new, and the
// folder synced. A disk without room is a 452 reply, any other failure 451;
// nothing is delivered then.
func (t *maildirTx) Send(ctx context.Context, header []byte, body io.Reader) (dlp.Reply, error) {
	if t.ended {
		return dlp.Reply{}, &dlp.SendError{Err: errEnded}
	}
	t.ended = true
	err := t.deliver(ctx, header, body)
	switch {
	case err == nil:
		return dlp.Reply{Code: 250, Enhanced: "2.0.0", Text: "Delivered"}, nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return replyNoRoom, nil
	}
	return replyTryAgain, nil
}

func (t *maildirTx) deliver(ctx context.Context, header []byte, body io.Reader) error {
	name := fmt.Sprintf("%d.%s%s", time.Now().Unix(), dlp.NewID(), maildirSuffix)
	tmp, final := filepath.Join(t.m.dir, "tmp", name), filepath.Join(t.m.dir, "new", name)
	if err := t.write(ctx, tmp, header, body); err != nil {
		_ = os.Remove(tmp) // swept at the next start otherwise
		return err
	}
	if err := os.Rename(tmp, final); err != nil {
		_ = os.Remove(tmp) // as above
		return err
	}
	if err := syncDir(filepath.Join(t.m.dir, "new")); err != nil {
		_ = os.Remove(final) // the sender keeps the message: two copies would be the price
		return err
	}
	return nil
}

func (t *maildirTx) write(ctx context.Context, path string, header []byte, body io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // a second Close after the one below does nothing
	w := bufio.NewWriterSize(f, largeBuffer)
	fmt.Fprintf(w, "Return-Path: <%s>\r\n", t.from)
	for _, r := range t.rcpts {
		fmt.Fprintf(w, "X-Envelope-To: <%s>\r\n", r)
	}
	_, _ = w.Write(header) // the writer keeps its error for Flush
	if _, err := io.Copy(w, body); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// cause takes the path out of a file error.
func cause(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}
