package ways

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/crypt/openpgp"
	"github.com/stanch-dlp/stanch/internal/crypt/seen"
	"github.com/stanch-dlp/stanch/internal/crypt/smime"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Sighting is when and how a key was seen in mail.
type Sighting struct {
	At       time.Time // of the newest message
	Domain   string    // that signed it
	Selector string
	Mutual   bool      // its owner wants mail encrypted (Autocrypt)
	Was      string    // fingerprint of the key that it came in the place of; "" for none
	Changed  time.Time // when
	reads    smime.Capabilities
}

// Errors of a key that was seen and is not kept.
var (
	ErrOlder      = errors.New("a newer message was seen")
	ErrKeptPinned = errors.New("another key is pinned for them")
	ErrFull       = errors.New("the folder is full")
)

const (
	seenHeader  = "# stanch seen v1"
	maxSeenName = 200            // bytes of an address
	restates    = 24 * time.Hour // how much newer a message is that says the same and is noted
)

// seenFile is one file of encrypt.seen_dir: lines of what is known, then the key.
type seenFile struct {
	Sighting
	key []byte
}

func (f *seenFile) bytes() []byte {
	b := fmt.Appendf(nil, "%s\ndate %s\ndomain %s\nselector %s\n", seenHeader, f.At.UTC().Format(time.RFC3339), f.Domain, f.Selector)
	if f.Mutual {
		b = append(b, "mutual\n"...)
	}
	if f.reads.AES256GCM {
		b = append(b, "reads aes-256-gcm\n"...)
	}
	if f.reads.RSAOAEP {
		b = append(b, "reads rsa-oaep\n"...)
	}
	if f.Was != "" {
		b = fmt.Appendf(b, "was %s\nchanged %s\n", f.Was, f.Changed.UTC().Format(time.RFC3339))
	}
	return append(b, f.key...)
}

var errSeenFile = errors.New("ways: not a file of what was seen")

func parseSeen(b []byte) (*seenFile, error) {
	head, _, ok := bytes.Cut(b, []byte("-----BEGIN "))
	if !ok || !bytes.HasPrefix(head, []byte(seenHeader+"\n")) {
		return nil, errSeenFile
	}
	f := &seenFile{key: b[len(head):]}
	var err error
	lines := bufio.NewScanner(bytes.NewReader(head[len(seenHeader):]))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		switch {
		case key == "" && value == "":
		case key == "date":
			f.At, err = time.Parse(time.RFC3339, value)
		case key == "changed":
			f.Changed, err = time.Parse(time.RFC3339, value)
		case key == "domain":
			f.Domain = value
		case key == "selector":
			f.Selector = value
		case key == "was":
			f.Was = value
		case key == "mutual" && value == "":
			f.Mutual = true
		case key == "reads" && value == "aes-256-gcm":
			f.reads.AES256GCM = true
		case key == "reads" && value == "rsa-oaep":
			f.reads.RSAOAEP = true
		default:
			err = errSeenFile
		}
		if err != nil {
			return nil, errSeenFile
		}
	}
	if f.At.IsZero() || lines.Err() != nil {
		return nil, errSeenFile
	}
	return f, nil
}

// seenExt is how the files of a way end in encrypt.seen_dir.
func seenExt(way dlp.Way) string {
	if way == dlp.SMIME {
		return ".pem"
	}
	return ".asc"
}

// seenName reports an address that a file can be named for.
func seenName(whom string) bool {
	return len(whom) <= maxSeenName && !strings.HasPrefix(whom, ".") && !strings.ContainsFunc(whom, func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f })
}

// AddSeen keeps the key k, which the message m showed, for the sender of m. A key
// that is there is replaced by that of a newer message, unless it is pinned. was is
// the fingerprint of another that it replaced, "" for none. What it returns is how the key then
// stands. A key that could not be encrypted to is not kept: the error is Unkept.
func AddSeen(cfg Config, m *seen.Message, k seen.Key, now func() time.Time) (key Key, was string, err error) {
	whom := nameOf(m.From)
	f := &seenFile{Sighting: Sighting{At: m.At, Domain: k.Domain, Selector: k.Selector, Mutual: k.Mutual}}
	switch {
	case cfg.SeenDir == "":
		return Key{}, "", ErrNoFolder
	case !seenName(whom):
		return Key{}, "", ErrWhose
	}
	print := ""
	if k.Way == dlp.SMIME {
		print, err = f.takeCertificate(k, m.From, now())
	} else {
		print, err = f.takeKey(k, whom, now())
	}
	if err != nil {
		return Key{}, "", err
	}
	lock, err := safefile.LockWithin(filepath.Join(cfg.SeenDir, lockFile), lockWait)
	if err != nil {
		return Key{}, "", err
	}
	defer lock.Unlock() // it ends with the process all the same
	w, err := openSeen(cfg, now)
	if err != nil {
		return Key{}, "", err
	}
	path := filepath.Join(cfg.SeenDir, whom+seenExt(k.Way))
	there, old := w.seenKey(k.Way, whom), (*seenFile)(nil)
	if there != nil {
		old = there.file
	}
	switch {
	case there == nil:
		if err := w.room(now()); err != nil {
			return Key{}, "", err
		}
	case old == nil || there.Fingerprint == "": // a damaged one is nobody's word
	case m.At.Before(old.At):
		return Key{}, "", ErrOlder
	case there.Fingerprint != print && there.Trust == Pinned:
		return Key{}, "", ErrKeptPinned
	case there.Fingerprint != print:
		was = there.Fingerprint
		f.Was, f.Changed = was, m.At
	default:
		f.Was, f.Changed = old.Was, old.Changed
		if bytes.Equal(f.key, old.key) && f.reads == old.reads && f.Mutual == old.Mutual && m.At.Before(old.At.Add(restates)) {
			return w.seenState(k.Way, m.From, now()), "", nil
		}
	}
	if err := safefile.WriteFile(path, f.bytes(), 0o600); err != nil {
		return Key{}, "", err
	}
	return w.seenState(k.Way, m.From, now()), was, nil
}

// openSeen is Open of what was seen alone, with what the trust files say of it. No
// authority is asked.
func openSeen(cfg Config, now func() time.Time) (w *Ways, err error) {
	w = &Ways{now: now, seenDir: cfg.SeenDir, useSeen: cfg.UseSeen, seenFor: cfg.SeenExpiry.D()}
	if cfg.SMIMEDir != "" {
		if w.smimeTrust, err = readTrust(cfg.SMIMEDir, sha256Digits); err != nil {
			return nil, err
		}
	}
	if cfg.OpenPGPDir != "" {
		if w.pgpTrust, err = readTrust(cfg.OpenPGPDir, sha1Digits); err != nil {
			return nil, err
		}
	}
	if cfg.SMIMERoots != "" {
		if w.roots, err = readRoots(cfg.SMIMERoots); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Unkept is the error of a key that could not be encrypted to.
type Unkept struct{ Reason Reason }

func (u Unkept) Error() string { return "not kept: " + string(u.Reason) }

// takeCertificate has f hold the certificates of k, whose signer and whose first are
// whom's at now. It returns the fingerprint of the first.
func (f *seenFile) takeCertificate(k seen.Key, whom dlp.Address, now time.Time) (string, error) {
	cert := k.Certs[0]
	if u, is := errors.AsType[smime.Unfit](smime.Trust{Pinned: true}.Check(cert, nil, whom, now)); is {
		return "", Unkept{smimeReason(u.Reason)}
	}
	if !slices.ContainsFunc(smime.Addresses(k.Signer), func(a string) bool { return fold(a) == nameOf(whom) }) {
		return "", Unkept{OtherPerson}
	}
	if now.Before(k.Signer.NotBefore) || now.After(k.Signer.NotAfter) {
		return "", Unkept{Expired}
	}
	if k.Capabilities != nil {
		reads, err := smime.ParseCapabilities(k.Capabilities)
		if err != nil {
			reads = smime.Capabilities{} // what all programs read
		}
		f.reads = reads
	}
	for _, c := range between(k.Certs) {
		f.key = append(f.key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	if len(f.key) > maxPEM/2 {
		return "", Unkept{Unreadable}
	}
	return sha256Of(cert.Raw), nil
}

// between is the first of certs and those that may stand between it and a root.
func between(certs []*x509.Certificate) []*x509.Certificate {
	out := certs[:1:1]
	for _, c := range certs[1:] {
		if c.IsCA && !bytes.Equal(c.RawIssuer, c.RawSubject) && len(out) < maxChain {
			out = append(out, c)
		}
	}
	return out
}

// takeKey has f hold the key of k, which is whom's at now. It returns its fingerprint.
func (f *seenFile) takeKey(k seen.Key, whom string, now time.Time) (string, error) {
	key, err := openpgp.ReadKey(bytes.NewReader(k.OpenPGP))
	if err == nil {
		err = key.Usable(now)
	}
	if err != nil {
		return "", Unkept{reasonOf(err)}
	}
	if !key.Names(whom, now) {
		return "", Unkept{OtherPerson}
	}
	if f.key, err = key.Armored(); err != nil {
		return "", Unkept{Unreadable}
	}
	return key.Fingerprint(), nil
}

// room sees to it that one more file has room in encrypt.seen_dir: keys that have
// not been seen for too long go. ErrFull.
func (w *Ways) room(now time.Time) error {
	names, err := os.ReadDir(w.seenDir)
	if err != nil || len(names) < maxFiles {
		return bare(err)
	}
	for _, way := range []dlp.Way{dlp.SMIME, dlp.OpenPGP} {
		for _, e := range names {
			whom, ok := strings.CutSuffix(e.Name(), seenExt(way))
			if !ok {
				continue
			}
			k := w.seenKey(way, whom)
			if k == nil || k.Trust == Pinned || k.file != nil && now.Before(k.file.At.Add(w.seenFor)) {
				continue
			}
			if err := safefile.Remove(filepath.Join(w.seenDir, e.Name())); err != nil {
				return err
			}
		}
	}
	if names, err = os.ReadDir(w.seenDir); err == nil && len(names) >= maxFiles {
		return ErrFull
	}
	return bare(err)
}

// seenKey is a key of encrypt.seen_dir, of one way or the other.
type seenKey struct {
	Key
	file  *seenFile // nil where it cannot be read
	smime *smimeKey // of its way, or
	pgp   *pgpKey
}

// seenKey reads what was seen of whom, as it lies there now; nil for nothing.
func (w *Ways) seenKey(way dlp.Way, whom string) *seenKey {
	if w.seenDir == "" || !seenName(whom) {
		return nil
	}
	k := &seenKey{Key: Key{Way: way, File: whom + seenExt(way), For: whom, Trust: Seen}}
	b, err := readFile(filepath.Join(w.seenDir, k.File), maxPEM)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	k.Unfit = Unreadable
	if err != nil {
		return k
	}
	if k.file, err = parseSeen(b); err != nil {
		return k
	}
	k.Sighting = &k.file.Sighting
	if way == dlp.SMIME {
		chain, err := certificates(k.file.key, maxChain+1)
		if err != nil {
			return k
		}
		k.Fingerprint, k.Expires, k.Unfit = sha256Of(chain[0].Raw), chain[0].NotAfter, ""
		k.judge(w.smimeTrust)
		reads := capabilities(chain[0])
		reads.AES256GCM = reads.AES256GCM || k.file.reads.AES256GCM
		reads.RSAOAEP = reads.RSAOAEP || k.file.reads.RSAOAEP
		k.smime = &smimeKey{Key: k.Key, chain: chain, reads: w.smimeTrust.reads(k.Fingerprint, reads)}
		return k
	}
	key, err := openpgp.ReadKey(bytes.NewReader(k.file.key))
	if err != nil {
		k.Unfit = reasonOf(err)
		return k
	}
	k.Fingerprint, k.Unfit = key.Fingerprint(), ""
	k.judge(w.pgpTrust)
	if w.pgpTrust.revokes(key) {
		k.Unfit = Revoked
	}
	k.pgp = &pgpKey{Key: k.Key, key: key}
	return k
}

// stateOfSeen is k, which was seen, as it stands at now for rcpt.
func (w *Ways) stateOfSeen(ctx context.Context, k *seenKey, rcpt dlp.Address, now time.Time) Key {
	out := k.Key
	switch {
	case k.smime != nil:
		out = w.stateOf(ctx, k.smime, rcpt, now)
	case k.pgp != nil:
		out = k.pgp.state(now)
	}
	if out.Trust != Seen || k.file == nil {
		return out
	}
	ends := k.file.At.Add(w.seenFor)
	if out.Expires.IsZero() || ends.Before(out.Expires) {
		out.Expires = ends
	}
	switch {
	case out.Unfit != "":
	case now.After(ends):
		out.Unfit = Expired
	case !w.useSeen:
		out.Unfit = SeenOnly
	}
	return out
}

// seenOf is what was seen of rcpt, and how it stands; nil for nothing.
func (w *Ways) seenOf(ctx context.Context, way dlp.Way, rcpt dlp.Address, now time.Time) (*seenKey, Key) {
	k := w.seenKey(way, nameOf(rcpt))
	if k == nil {
		return nil, Key{}
	}
	return k, w.stateOfSeen(ctx, k, rcpt, now)
}

// seenState is how what was seen of rcpt stands.
func (w *Ways) seenState(way dlp.Way, rcpt dlp.Address, now time.Time) Key {
	_, s := w.Unasked().seenOf(context.Background(), way, rcpt, now)
	return s
}

// seenKeys are all of encrypt.seen_dir, no authority asked.
func (w *Ways) seenKeys(now time.Time) (out []Key) {
	names, err := os.ReadDir(w.seenDir)
	if w.seenDir == "" || err != nil { // Open has read it
		return nil
	}
	for _, e := range names {
		for _, way := range []dlp.Way{dlp.SMIME, dlp.OpenPGP} {
			whom, ok := strings.CutSuffix(e.Name(), seenExt(way))
			at := strings.LastIndexByte(whom, '@')
			if !ok || at < 1 {
				continue
			}
			if k := w.seenKey(way, whom); k != nil {
				out = append(out, w.stateOfSeen(context.Background(), k, dlp.Address{Local: whom[:at], Domain: whom[at+1:]}, now))
			}
		}
	}
	return out
}

// outranked reports a way whose key was only seen in mail, while another way that
// can be gone has one that somebody stands behind.
func (w *Ways) outranked(ctx context.Context, c Choice, from, rcpt dlp.Address, now time.Time, except []dlp.Way) bool {
	if c.Unfit != "" || c.Key == nil || c.Key.Trust != Seen {
		return false
	}
	return slices.ContainsFunc(w.order, func(way dlp.Way) bool {
		if way == c.Way || way != dlp.SMIME && way != dlp.OpenPGP || slices.Contains(except, way) {
			return false
		}
		o := w.choice(ctx, way, from, rcpt, now)
		return o.Unfit == "" && o.Key.Trust != Seen
	})
}
