package siem

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// syslogTLS writes events as syslog messages over TLS, some on one connection.
//
// Syslog has no answer. So each connection is closed by us first and counts
// once the receiver has closed it too, in the way of TLS: by then it has read
// all of it (RFC 5425 4.4: the receiver answers close_notify with its own).
type syslogTLS struct {
	address, format, version string
	dialer                   tls.Dialer
}

func newSyslog(c *Config, tlsConfig *tls.Config, version string) *syslogTLS {
	return &syslogTLS{address: c.address(), format: c.format(), version: version,
		dialer: tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: tlsConfig}}
}

// send returns len(events) once the receiver has read them all, else 0.
func (s *syslogTLS) send(ctx context.Context, events []event) (int, error) {
	var b bytes.Buffer
	for i := range events {
		msg, err := s.message(&events[i])
		if err != nil {
			return 0, failure("form")
		}
		fmt.Fprintf(&b, "%d %s", len(msg), msg) // RFC 5425 4.3
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn, err := s.dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return 0, reached(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // what waits below then ends
	defer stop()
	if _, err := conn.Write(b.Bytes()); err != nil {
		return 0, reached(err)
	}
	if err := conn.(*tls.Conn).CloseWrite(); err != nil {
		return 0, reached(err)
	}
	if _, err := io.CopyN(io.Discard, conn, maxAnswer); !errors.Is(err, io.EOF) {
		return 0, failure("not_closed")
	}
	return len(events), nil
}

// bom says that what follows is UTF-8. RFC 5424 6.4.
const bom = "\ufeff"

// facilityAudit is "log audit". RFC 5424 6.2.1.
const facilityAudit = 13

// message is RFC 5424 with the event as its MSG. It has no structured data:
// an element of our own would need an enterprise number.
func (s *syslogTLS) message(e *event) ([]byte, error) {
	body, err := e.body(s.format, s.version)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "<%d>1 %s %s stanch %d %s - %s%s", facilityAudit*8+syslogSeverity(e.Severity),
		e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), host(e.Host), os.Getpid(), e.Kind, s.mark(), body), nil
}

// mark begins a MSG: CEF is looked for at its very beginning.
func (s *syslogTLS) mark() string {
	if s.format == formatCEF {
		return ""
	}
	return bom
}

// host is the HOSTNAME: at most 255 printable characters, "-" for none.
func host(s string) string {
	if s == "" || len(s) > 255 {
		return "-"
	}
	return s
}

// syslogSeverity is RFC 5424's of 0 to 10.
func syslogSeverity(n int) int {
	switch {
	case n >= 9:
		return 2 // critical
	case n >= 7:
		return 4 // warning
	case n >= 3:
		return 5 // notice
	}
	return 6 // informational
}

func (s *syslogTLS) close() {}

// tlsConfig is how a receiver proves itself, and we to it.
func tlsConfig(c *Config) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLSCA != "" {
		b, err := os.ReadFile(c.TLSCA)
		t.RootCAs = x509.NewCertPool()
		if err != nil || !t.RootCAs.AppendCertsFromPEM(b) {
			return nil, &dlp.KeyError{Key: "tls_ca", Want: "a readable PEM file of certificates"}
		}
	}
	if c.TLSCert != "" {
		key, err := readSecret("tls_key", c.TLSKey)
		if err != nil {
			return nil, err
		}
		cert, err := os.ReadFile(c.TLSCert)
		if err != nil {
			return nil, &dlp.KeyError{Key: "tls_cert", Want: "a file that can be read"}
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, &dlp.KeyError{Key: "tls_cert", Want: "a PEM file of a certificate, and tls_key that of its key"}
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// failure is why a receiver did not take an event: a constant, or the number of
// an HTTP status. What a library says may quote the address.
type failure string

func (f failure) Error() string { return "siem: not taken: " + string(f) }

// ErrKind is what the log says.
func (f failure) ErrKind() string { return string(f) }

// reached sorts an error of the network.
func reached(err error) failure {
	var (
		op     *net.OpError
		dns    *net.DNSError
		verify *tls.CertificateVerificationError
		alert  tls.AlertError
	)
	switch {
	case errors.As(err, &dns):
		return "dns"
	case errors.As(err, &verify):
		return "certificate"
	case errors.As(err, &alert):
		return "tls"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.As(err, &op) && op.Op == "dial":
		return "unreached"
	}
	return "connection"
}
