package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	filippo "filippo.io/age"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stanch-dlp/stanch/internal/crypt/age"
	"github.com/stanch-dlp/stanch/internal/crypt/tpm"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// tpmLine begins the line of a key file whose secret key a TPM opens:
// "STANCH-TPM-KEY-1 PIN BLOB", where PIN is "pin" or "none" and BLOB is what
// tpm.Seal returned, in base64.
const tpmLine = "STANCH-TPM-KEY-1 "

const (
	minPIN = 6 // characters; the TPM's lockout bounds the tries
	maxPIN = 200
	// maxKeyFile bounds what is looked at of a key file, in bytes.
	maxKeyFile = 256 << 10
)

func tpmDeviceFlag(cmd *cobra.Command, device *string) {
	cmd.Flags().StringVar(device, "tpm-device", tpm.Device, "`PATH` of the TPM 2.0 that keys were made in, or of a simulator's socket")
}

func (a *app) reviewersKeyCmd() *cobra.Command {
	var inTPM, pin, hybrid bool
	var device, certificate string
	cmd := &cobra.Command{Use: "key FILE", Short: "Make a reviewer's key, in a file or for the TPM of this machine alone", Args: cobra.ExactArgs(1),
		Long: "Make a reviewer's key and print its public half, for [vault] reviewers. FILE, mode 0600, is what --identity takes.\n\n" +
			"With --certificate CERT it is a key on P-384, with a certificate for [vault] reviewer_certificates, or for a folder's cms_recipients.\n\n" +
			"With --tpm the secret key is sealed to the TPM 2.0 of this machine: FILE opens nothing anywhere else, nor here once the TPM was\n" +
			"cleared, so see that another reviewer has a key. --pin has the TPM ask for a PIN besides, and lock after some wrong ones. PINs\n" +
			"are asked for on a terminal, and are the first line of standard input otherwise."}
	cmd.Flags().BoolVar(&inTPM, "tpm", false, "seal the secret key to the TPM of this machine")
	cmd.Flags().BoolVar(&pin, "pin", false, "with --tpm: ask for a PIN at each use")
	cmd.Flags().BoolVar(&hybrid, "post-quantum", false, "make a post-quantum key (age1pq1), as all [vault] reviewers must then be")
	cmd.Flags().StringVar(&certificate, "certificate", "", "make a key of a certificate, and write that to `CERT`, a file that is not there yet")
	tpmDeviceFlag(cmd, &device)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		switch {
		case pin && !inTPM:
			return errors.New("--pin: only with --tpm")
		case hybrid && certificate != "":
			return errors.New("--post-quantum: not with --certificate, whose key is on P-384")
		}
		k, err := newReviewersKey(args[0], certificate, hybrid, inTPM)
		if err != nil {
			return err
		}
		defer clear(k.secret)
		line := k.secret
		if inTPM {
			if line, err = a.sealToTPM(device, k.secret, pin); err != nil {
				return err
			}
		}
		if err := newKeyFile(args[0], append([]byte(k.head), append(line, '\n')...), 0o600); err != nil {
			return err
		}
		if certificate != "" {
			if err := newKeyFile(certificate, k.cert, 0o644); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintln(a.out, k.public)
		return err
	}
	return cmd
}

// reviewersKey is a key that was made.
type reviewersKey struct {
	secret       []byte
	cert         []byte // PEM; nil for a key of age
	head, public string // lines before the secret; what is printed
}

func newReviewersKey(file, certificate string, hybrid, short bool) (k reviewersKey, err error) {
	now := time.Now().UTC()
	if certificate == "" {
		k.secret, k.public, err = age.NewIdentity(hybrid)
		k.head = fmt.Sprintf("# created: %s\n# public key: %s\n", now.Format(time.RFC3339), k.public)
		return k, err
	}
	if err := notThere(certificate); err != nil { // before there is a key without it
		return k, err
	}
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	pem, line, cert, err := age.NewCertificate("stanch reviewer "+name, now)
	k = reviewersKey{secret: bytes.TrimSpace(pem), cert: cert, public: certificate}
	if short {
		clear(pem)
		k.secret, k.head = line, fmt.Sprintf("# created: %s\n# certificate: %s\n", now.Format(time.RFC3339), filepath.Base(certificate))
	} else {
		clear(line)
	}
	return k, err
}

func notThere(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s: is there already; a key is never overwritten", name)
	}
	return nil
}

// newKeyFile writes a file that is not there yet, durably.
func newKeyFile(name string, b []byte, mode os.FileMode) error {
	defer clear(b)
	if err := notThere(name); err != nil {
		return err
	}
	if err := safefile.WriteFile(name, b, mode); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return nil
}

func (a *app) sealToTPM(device string, secret []byte, withPIN bool) ([]byte, error) {
	d, err := tpm.Open(device)
	if err != nil {
		return nil, tpmFault(err)
	}
	defer d.Close() // only asked
	kind, pin := "none", ""
	if withPIN {
		kind = "pin"
		if pin, err = a.twice("PIN: "); err != nil {
			return nil, err
		}
		if len(pin) < minPIN || len(pin) > maxPIN {
			return nil, fmt.Errorf("a PIN has %d to %d characters", minPIN, maxPIN)
		}
	}
	blob, err := d.Seal(secret, []byte(pin))
	if err != nil {
		return nil, tpmFault(err)
	}
	return []byte(tpmLine + kind + " " + base64.StdEncoding.EncodeToString(blob)), nil
}

// tpmFault says of a TPM that does not do what was asked what to do.
func tpmFault(err error) error {
	switch {
	case errors.Is(err, tpm.ErrNone):
		return fmt.Errorf("%w (a machine's firmware may have it switched off; --tpm-device names another)", err)
	case errors.Is(err, tpm.ErrDenied):
		return fmt.Errorf("%w: add them to the group of the device (tss on most systems)", err)
	case errors.Is(err, tpm.ErrOther):
		return fmt.Errorf("%w: it opens with the TPM that it was made in alone", err)
	}
	return err
}

// identitiesOf reads the key file name. One of a TPM is opened by it, and a PIN
// that it takes is asked for.
func identitiesOf(cmd *cobra.Command, name, device string) ([]filippo.Identity, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	f.Close() // only read from
	if err != nil {
		return nil, err
	}
	defer clear(b)
	for line := range bytes.Lines(b) {
		sealed, ok := strings.CutPrefix(string(line), tpmLine)
		if !ok {
			continue
		}
		kind, blob, _ := strings.Cut(strings.TrimSpace(sealed), " ")
		raw, err := base64.StdEncoding.DecodeString(blob)
		if err != nil || kind != "pin" && kind != "none" {
			return nil, fmt.Errorf("%s: %w", name, tpm.ErrForm)
		}
		ids, err := fromTPM(cmd, name, device, raw, kind == "pin")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, tpmFault(err))
		}
		return ids, nil
	}
	ids, err := age.ReadIdentities(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return ids, nil
}

func fromTPM(cmd *cobra.Command, name, device string, blob []byte, withPIN bool) ([]filippo.Identity, error) {
	d, err := tpm.Open(device)
	if err != nil {
		return nil, err
	}
	defer d.Close() // only asked
	var pin []byte
	if withPIN {
		if pin, err = askPIN(cmd, name); err != nil {
			return nil, err
		}
		defer clear(pin)
		if len(pin) == 0 || len(pin) > maxPIN { // the TPM would count it with the wrong ones, and lock
			return nil, fmt.Errorf("no PIN of 1 to %d characters was given: it is asked for on a terminal, and is a line of standard input otherwise", maxPIN)
		}
	}
	secret, err := d.Unseal(blob, pin)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	return age.ParseIdentities(bytes.NewReader(secret))
}

// askPIN asks for the PIN of a key file, or takes a line of standard input and
// leaves the next to the next key file.
func askPIN(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(cmd.ErrOrStderr(), "PIN of %s: ", name)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return b, err
	}
	line, one := make([]byte, 0, maxPIN+2), make([]byte, 1)
	for len(line) < cap(line) {
		if _, err := io.ReadFull(in, one); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		} else if err != nil || one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	return bytes.TrimRight(line, "\r"), nil
}

// tpmHere asks the TPM of this machine who made it.
func tpmHere(context.Context) (string, error) {
	d, err := tpm.Open(tpm.Device)
	if err != nil {
		return "", err
	}
	defer d.Close() // only asked
	return d.Maker()
}
