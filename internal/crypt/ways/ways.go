package ways

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/cms"
	"github.com/stanch-dlp/stanch/internal/crypt/openpgp"
	"github.com/stanch-dlp/stanch/internal/crypt/revocation"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/message"
)

// Reason says in a word why a way or a key is not used. The set is closed.
type Reason string

// The reasons; "" is that it can be used.
const (
	NoKey       Reason = "no_key"         // none for this recipient
	BadName     Reason = "bad_name"       // the file is not named for an address
	Unreadable  Reason = "unreadable"     // no key of one owner can be read from the file
	SecretKey   Reason = "secret_key"     // the file holds a secret key
	BadVersion  Reason = "version"        // of a version that common programs do not read
	Revoked     Reason = "revoked"        // by its owner, or by a line of the trust file
	Expired     Reason = "expired"        // or not valid yet
	Cannot      Reason = "cannot_encrypt" // made for signing only, or of a kind that is not used
	OtherPerson Reason = "other_person"   // it names other addresses, and is not pinned for this one
	NotPinned   Reason = "not_pinned"     // another key is pinned for this address
	NotChecked  Reason = "not_checked"    // it came from a directory, and is not pinned
	NoChain     Reason = "no_chain"       // no authority of encrypt.smime_roots stands behind it, and it is not pinned
	NoStatus    Reason = "no_status"      // whether it was revoked is not known
	NotNamed    Reason = "not_named"      // encrypt.tls does not name the domain
	Consumer    Reason = "consumer"       // mail for consumers, and encrypt.tls does not name the domain itself
	NotProved   Reason = "not_proved"     // no server proves to be the recipient's
	NotReached  Reason = "not_reached"    // whether one does is not known: DNS or the server gave no answer
	NotSetUp    Reason = "not_set_up"     // the configuration has no [portal]
	Exposed     Reason = "exposed"        // others than its owner may read the file of the passphrase
	Weak        Reason = "weak"           // the passphrase is too short, too long or has characters beyond ASCII
	NotInOrder  Reason = "not_in_order"   // encrypt.order leaves it out
	SeenOnly    Reason = "seen_only"      // nobody but its sender's domain stands behind it, and encrypt.use_seen is off
	Outranked   Reason = "outranked"      // it was seen in mail, and another way has a key that somebody stands behind
)

// Trust is why a key is taken for its recipient's.
type Trust string

// The levels of trust.
const (
	Fetched Trust = "fetched" // it came from a directory: it does not count
	Seen    Trust = "seen"    // it was in a message that its sender's domain signed: it counts with encrypt.use_seen
	Folder  Trust = "folder"  // it lies in the administrator's folder under the recipient's name
	Chain   Trust = "chain"   // an authority of encrypt.smime_roots stands behind it, and it names the recipient
	Pinned  Trust = "pinned"  // a line of the trust file names it for the recipient
)

// Key is what is known of one key in a folder. Its file's name, and whom it is
// for, are PHI.
type Key struct {
	Way         dlp.Way
	File        string // name in its folder
	For         string // address or domain, folded
	Fingerprint string // lower-case hex; "" where the key cannot be read
	Trust       Trust
	Source      string    // the directory it came from; "" for none
	Came        time.Time // when; zero where that is not known
	Expires     time.Time // zero: never, or not known
	Unfit       Reason    // "": mail may be encrypted to it
	Sighting    *Sighting // in mail; nil: it was not
}

// Choice is one way to one recipient.
type Choice struct {
	Way   dlp.Way
	Unfit Reason // "": it can be gone
	Key   *Key   // that it would use, or that is unfit; nil: no key is for this recipient, or the way has none
	By    string // VerifiedTLS: what proves the server; "" where nothing does
}

// Ways is what the configuration and the folders said when they were read. It
// is safe for use by many goroutines and does not change.
type Ways struct {
	order   []dlp.Way
	now     func() time.Time
	smime   map[string]*smimeKey // by address or domain, folded
	roots   *x509.CertPool       // authorities; nil: no chain is asked
	status  *revocation.Asker    // nil: nobody is asked
	soft    bool                 // what nobody knows of is good
	signer  *cms.Signer          // of what goes as S/MIME; nil: it is not signed
	openpgp map[string]*pgpKey   // by address, folded
	portal  bool                 // there are pickup pages
	other   []Key                // files that are for nobody
	tls     TLS
	prove   Prover                 // nil: no server proves anything
	pdf     map[string]*passphrase // by address or domain, folded

	smimeTrust, pgpTrust trust  // what the trust files say
	seenDir              string // of keys that were seen in mail, read as they are needed; "": there is none
	useSeen              bool   // they count
	seenFor              time.Duration
}

type pgpKey struct {
	Key
	key *openpgp.Key // nil where it cannot be read
}

// Open reads the folders that cfg names. A key that cannot be used is no error:
// nobody is encrypted to with it, and Keys tells. Errors are *dlp.KeyErrors.
func Open(cfg Config, now func() time.Time) (*Ways, error) {
	w := &Ways{now: now, tls: cfg.TLS, smime: map[string]*smimeKey{}, openpgp: map[string]*pgpKey{}, pdf: map[string]*passphrase{}}
	for _, name := range cfg.Order {
		w.order = append(w.order, dlp.Way(name))
	}
	if cfg.SMIMEDir != "" {
		if err := w.readSMIME(cfg.SMIMEDir); err != nil {
			return nil, &dlp.KeyError{Key: "encrypt.smime_dir", Want: "a folder of ADDRESS.pem and DOMAIN.pem that can be read: " + err.Error()}
		}
	}
	if cfg.SMIMERoots != "" {
		var err error
		if w.roots, err = readRoots(cfg.SMIMERoots); err != nil {
			return nil, &dlp.KeyError{Key: "encrypt.smime_roots", Want: "a file of certificates (PEM) that can be read: " + err.Error()}
		}
		if w.soft = cfg.SMIMERevocation == revocationSoft; cfg.SMIMERevocation != revocationOff {
			w.status = revocation.New(now)
		}
	}
	if cfg.SMIMESignKey != "" {
		var err error
		if w.signer, err = readSigner(cfg.SMIMESignCert, cfg.SMIMESignKey); err != nil {
			return nil, &dlp.KeyError{Key: "encrypt.smime_sign_key", Want: "a certificate and its key that can be read: " + err.Error()}
		}
	}
	if cfg.OpenPGPDir != "" {
		if err := w.readOpenPGP(cfg.OpenPGPDir); err != nil {
			return nil, &dlp.KeyError{Key: "encrypt.openpgp_dir", Want: "a folder of ADDRESS.asc that can be read: " + err.Error()}
		}
	}
	if cfg.SeenDir != "" {
		w.seenDir, w.useSeen, w.seenFor = cfg.SeenDir, cfg.UseSeen, cfg.SeenExpiry.D()
		if _, err := os.ReadDir(cfg.SeenDir); err != nil {
			return nil, &dlp.KeyError{Key: "encrypt.seen_dir", Want: "a folder that can be read: " + bare(err).Error()}
		}
	}
	if cfg.PDFDir != "" {
		if err := w.readPDF(cfg.PDFDir); err != nil {
			return nil, &dlp.KeyError{Key: "encrypt.pdf_dir", Want: "a folder of ADDRESS.pass and DOMAIN.pass that can be read: " + err.Error()}
		}
	}
	return w, nil
}

func (w *Ways) readOpenPGP(dir string) error {
	t, err := readTrust(dir, sha1Digits)
	if err != nil {
		return err
	}
	w.pgpTrust = t
	files, err := readFolder(dir, ".asc", openpgp.MaxKey)
	if err != nil {
		return err
	}
	for _, f := range files {
		k := &pgpKey{Key: Key{Way: dlp.OpenPGP, File: f.name, For: f.whom, Trust: Folder}}
		if local, domain, ok := strings.Cut(f.whom, "@"); !ok || local == "" || domain == "" || w.openpgp[f.whom] != nil {
			k.Unfit = BadName
			w.other = append(w.other, k.Key)
			continue
		}
		w.openpgp[f.whom] = k
		if f.err != nil {
			k.Unfit = Unreadable
			continue
		}
		key, err := openpgp.ReadKey(bytes.NewReader(f.data))
		if err != nil {
			k.Unfit = reasonOf(err)
			continue
		}
		k.key, k.Fingerprint = key, key.Fingerprint()
		k.judge(t)
		if t.revokes(key) {
			k.Unfit = Revoked
		}
	}
	return nil
}

// judge has k stand as t says.
func (k *Key) judge(t trust) {
	pin, pinned := t.pins[k.For]
	came, fetched := t.fetched[k.Fingerprint+" "+k.For]
	k.Source, k.Came = came.from, came.at
	switch {
	case t.revoked[k.Fingerprint]:
		k.Unfit = Revoked
	case pinned && pin != k.Fingerprint:
		k.Unfit = NotPinned
	case pinned:
		k.Trust = Pinned
	case fetched:
		k.Trust = Fetched
	}
}

// reasonOf is the Reason for an error about a key.
func reasonOf(err error) Reason {
	for _, x := range []struct {
		err    error
		reason Reason
	}{{openpgp.ErrSecret, SecretKey}, {openpgp.ErrVersion, BadVersion}, {openpgp.ErrRevoked, Revoked}, {openpgp.ErrExpired, Expired},
		{openpgp.ErrCannot, Cannot}} {
		if errors.Is(err, x.err) {
			return x.reason
		}
	}
	return Unreadable
}

// state is k as it stands at now.
func (k *pgpKey) state(now time.Time) Key {
	out := k.Key
	if k.key == nil {
		return out
	}
	out.Expires = k.key.Expires(now)
	if out.Unfit != "" {
		return out
	}
	if err := k.key.Usable(now); err != nil {
		out.Unfit = reasonOf(err)
	} else if out.Trust != Pinned && !k.key.Names(out.For, now) {
		out.Unfit = OtherPerson
	} else if out.Trust == Fetched {
		out.Unfit = NotChecked
	}
	return out
}

// HavePortal says that there are pickup pages. It is called before any other
// method.
func (w *Ways) HavePortal() { w.portal = true }

// Unasked is w that asks no authority whether a certificate was revoked, as if it
// knew none to be.
func (w *Ways) Unasked() *Ways {
	out := *w
	out.status = nil
	return &out
}

// Keys returns every key of the folders, in the order of their names. No authority
// is asked.
func (w *Ways) Keys() []Key {
	w = w.Unasked()
	now := w.now()
	out := slices.Clone(w.other)
	for _, k := range w.openpgp {
		out = append(out, k.state(now))
	}
	for _, p := range w.pdf {
		out = append(out, p.Key)
	}
	out = append(out, w.seenKeys(now)...)
	for _, k := range w.smime {
		local, domain, ok := strings.Cut(k.For, "@")
		if !ok {
			local, domain = "", k.For
		}
		out = append(out, w.stateOf(context.Background(), k, dlp.Address{Local: local, Domain: domain}, now))
	}
	slices.SortFunc(out, func(a, b Key) int {
		return strings.Compare(string(a.Way)+"\x00"+a.File+"\x00"+string(a.Trust), string(b.Way)+"\x00"+b.File+"\x00"+string(b.Trust))
	})
	return out
}

func nameOf(a dlp.Address) string { return fold(a.Local + "@" + a.Domain) }

// Choices returns each way from from to rcpt with what speaks against it: those
// of encrypt.order in that order, then the others.
func (w *Ways) Choices(ctx context.Context, from, rcpt dlp.Address) []Choice {
	now := w.now()
	var out []Choice
	for _, way := range w.order {
		c := w.choice(ctx, way, from, rcpt, now)
		if w.outranked(ctx, c, from, rcpt, now, nil) {
			c.Unfit = Outranked
		}
		out = append(out, c)
	}
	for _, way := range dlp.Ways() {
		if !slices.Contains(w.order, way) {
			out = append(out, Choice{Way: way, Unfit: NotInOrder})
		}
	}
	return out
}

func (w *Ways) choice(ctx context.Context, way dlp.Way, from, rcpt dlp.Address, now time.Time) Choice {
	switch way {
	case dlp.VerifiedTLS:
		return w.tlsChoice(ctx, from, rcpt)
	case dlp.SMIME:
		k, s := w.smimeFor(ctx, rcpt, now)
		if k == nil {
			return Choice{Way: way, Unfit: NoKey}
		}
		return Choice{Way: way, Unfit: s.Unfit, Key: &s}
	case dlp.Portal:
		if !w.portal {
			return Choice{Way: way, Unfit: NotSetUp}
		}
		return Choice{Way: way}
	case dlp.PDF:
		return w.pdfChoice(rcpt)
	case dlp.OpenPGP:
	default:
		return Choice{Way: way, Unfit: NoKey}
	}
	k, s := w.openpgpFor(rcpt, now)
	if k == nil {
		return Choice{Way: way, Unfit: s.Unfit}
	}
	return Choice{Way: way, Unfit: s.Unfit, Key: &s}
}

// openpgpFor returns the key for rcpt and how it stands: the folder's, or where that
// has none what was seen in mail. nil: there is none, or none that can be read.
func (w *Ways) openpgpFor(rcpt dlp.Address, now time.Time) (*openpgp.Key, Key) {
	if k, ok := w.openpgp[nameOf(rcpt)]; ok {
		return k.key, k.state(now)
	}
	k, s := w.seenOf(context.Background(), dlp.OpenPGP, rcpt, now)
	if k == nil {
		return nil, Key{Unfit: NoKey}
	}
	if k.pgp == nil {
		return nil, s
	}
	return k.pgp.key, s
}

// Way is the first way of encrypt.order from from to rcpt that can be gone and is
// none of except, "" for none.
func (w *Ways) Way(ctx context.Context, from, rcpt dlp.Address, except ...dlp.Way) dlp.Way {
	now := w.now()
	for _, way := range w.order {
		if slices.Contains(except, way) {
			continue
		}
		if c := w.choice(ctx, way, from, rcpt, now); c.Unfit == "" && !w.outranked(ctx, c, from, rcpt, now, except) {
			return way
		}
	}
	return ""
}

// Classes sorts rcpts, all on the same way, into those who can share a message.
func (w *Ways) Classes(way dlp.Way, rcpts []dlp.Address) [][]dlp.Address {
	if way == dlp.SMIME {
		return w.smimeClasses(rcpts)
	}
	if way == dlp.Portal { // each has a link and a code of their own
		return slices.Collect(slices.Chunk(rcpts, 1))
	}
	if way == dlp.PDF {
		return w.pdfClasses(rcpts)
	}
	return slices.Collect(slices.Chunk(rcpts, openpgp.MaxKeys))
}

// Encrypt writes the message that open opens, encrypted to rcpts on way, to dst
// as a complete new message. rcpts are one of Classes. What was written before
// an error is of no use.
func (w *Ways) Encrypt(dst io.Writer, open func() (io.ReadCloser, error), way dlp.Way, rcpts []dlp.Address) error {
	now := w.now()
	switch way {
	case dlp.SMIME:
		return w.encryptSMIME(dst, open, rcpts, now)
	case dlp.PDF:
		return w.encryptPDF(dst, open, rcpts)
	case dlp.OpenPGP:
	default:
		return dlp.ErrNoWay
	}
	var keys []*openpgp.Key
	for _, r := range rcpts {
		k, s := w.openpgpFor(r, now)
		if k == nil || s.Unfit != "" {
			return dlp.ErrNoWay
		}
		keys = append(keys, k)
	}
	m, err := message.Protect(open, message.Protection{})
	if err != nil {
		return fmt.Errorf("ways: %w", err)
	}
	if err := openpgp.Encrypt(dst, m, keys); err != nil {
		return fmt.Errorf("ways: %w", err)
	}
	return nil
}

func (w *Ways) encryptSMIME(dst io.Writer, open func() (io.ReadCloser, error), rcpts []dlp.Address, now time.Time) error {
	class, ok := w.smimeClass(rcpts, now)
	if !ok {
		return dlp.ErrNoWay
	}
	m, err := message.Protect(open, message.Protection{})
	if err != nil {
		return fmt.Errorf("ways: %w", err)
	}
	signer := w.signer
	if signer != nil && (now.Before(signer.Cert.NotBefore) || now.After(signer.Cert.NotAfter)) {
		signer = nil // a signature that no program takes helps nobody
	}
	if err := smime.Encrypt(dst, m, class, signer, now); err != nil {
		return fmt.Errorf("ways: %w", err)
	}
	return nil
}
