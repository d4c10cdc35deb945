package safelog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"syscall"
)

// Kinds of errors, as Kind returns them.
const (
	KindNone       = "none"
	KindTimeout    = "timeout"
	KindCanceled   = "canceled"
	KindNoSpace    = "no_space"
	KindPermission = "permission"
	KindNotFound   = "not_found"
	KindExists     = "exists"
	KindClosed     = "closed"
	KindRefused    = "refused"
	KindReset      = "reset"
	KindDNS        = "dns"
	KindTLS        = "tls"
	KindIO         = "io"
	KindTooMany    = "too_many_files"
	KindOther      = "other"
)

// Err returns an error as an attribute that tells its kind and nothing else:
// the text of an error quotes what it was given.
func Err(err error) slog.Attr { return slog.String("err_kind", Kind(err)) }

// Kind sorts an error into a closed set. An error may say its own kind with a
// method ErrKind() string, which must return a constant; it is taken when it
// has the form of a word.
func Kind(err error) string {
	if err == nil {
		return KindNone
	}
	if own, ok := errors.AsType[interface {
		error
		ErrKind() string
	}](err); ok {
		if v, ok := word(slog.StringValue(own.ErrKind())); ok && v.String() != "" {
			return v.String()
		}
	}
	for _, k := range []struct {
		kind string
		is   []error
	}{
		{KindNoSpace, []error{syscall.ENOSPC, syscall.EDQUOT}},
		{KindTooMany, []error{syscall.EMFILE, syscall.ENFILE}},
		{KindCanceled, []error{context.Canceled}},
		{KindTimeout, []error{context.DeadlineExceeded, syscall.ETIMEDOUT}},
		{KindPermission, []error{fs.ErrPermission, syscall.EROFS}},
		{KindNotFound, []error{fs.ErrNotExist}},
		{KindExists, []error{fs.ErrExist}},
		{KindRefused, []error{syscall.ECONNREFUSED}},
		{KindReset, []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED}},
		{KindClosed, []error{net.ErrClosed, fs.ErrClosed, io.ErrClosedPipe}},
	} {
		for _, target := range k.is {
			if errors.Is(err, target) {
				return k.kind
			}
		}
	}
	return kindByType(err)
}

func kindByType(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !dns.IsTimeout {
		return KindDNS
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return KindTimeout
	}
	if isTLS(err) {
		return KindTLS
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EIO) {
		return KindIO
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return KindIO
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return KindIO
	}
	return KindOther
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}
