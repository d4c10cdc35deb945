package watch

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Handler is the gateway as this door sees it.
type Handler interface {
	// File judges one settled file and acts on it through claim. doc.Open works
	// until File returns; after that only claim.Open may have been used. The
	// zero Outcome is "try again": the file is offered again later. A claim
	// that File took and neither removed, encrypted nor put back is finished
	// if Kept says so, else put back. File is called from several goroutines,
	// never twice at once for one file.
	File(ctx context.Context, doc *dlp.Document, claim dlp.Claim) dlp.Outcome

	// Kept reports whether the vault holds the content of document id on stable
	// storage, and the SHA-256 of what it holds. An error leaves the taken file
	// where it is, to be asked about again.
	Kept(ctx context.Context, id dlp.ID) (kept bool, sha [32]byte, err error)
}

// Key stands for a path or a content in the Store: a keyed hash, so that the
// database tells neither. See Keys.MAC.
type Key [32]byte

// State is what is known about one path. A store may keep all of it as one
// value beside Key, Root and Seen.
type State struct {
	Key  Key // of root and path
	Root Key // of the root alone

	Inode        uint64
	Size         int64 // bytes
	MTime, CTime int64 // nanoseconds since 1970

	Digest   Key           // keyed hash of the content's SHA-256
	RuleSet  string        // what Deps.RuleSet said when it was judged; "" when it was not judged yet
	Action   dlp.Action    // what was decided
	Ours     bool          // a stub or an encrypted file that stanch left: not judged
	Released *dlp.Released // a person released this content at this place
	Doc      dlp.ID        // the document that was restored here; "" for others
	Seen     time.Time     // when a walk last found it, to the day
}

// Phase says how far the taking of one file has come.
type Phase uint8

// The phases of a Claim. The zero Phase ends in putting back.
const (
	Taken      Phase = iota // renamed, or about to be, into the root's own folder
	Encrypting              // NAME.age is complete in the root's own folder, or in its place
	Kept                    // the vault has it; the stub and the removal may be missing
	Restoring               // a released file is being written in the root's own folder
)

// Claim is the durable record of a file on its way in or out. The store needs
// to understand ID and Root only.
type Claim struct {
	ID     dlp.ID // the document's
	Root   Key
	Phase  Phase
	Sealed []byte // path, owner, mode, times and digests, sealed with Keys.Seal
}

// Store keeps states, marks and claims across restarts. Every write is on
// stable storage when it returns; writes may share a sync. All methods are
// safe for concurrent use. watchtest.Run is what a Store must pass.
type Store interface {
	// State returns what is known under key; false when nothing is.
	State(ctx context.Context, key Key) (State, bool, error)
	// PutStates writes all states, each replacing what stood under its Key.
	PutStates(ctx context.Context, states []State) error
	// PruneStates deletes the states of root whose Seen is before t, and says
	// how many.
	PruneStates(ctx context.Context, root Key, t time.Time) (int, error)

	// Mark notes that the content with this digest is left by stanch for
	// document id; a second Mark of a digest replaces the first.
	Mark(ctx context.Context, digest Key, id dlp.ID) error
	// Marked returns the id that digest was marked with; false when it was not.
	Marked(ctx context.Context, digest Key) (dlp.ID, bool, error)

	// PutClaim writes c, replacing a claim with the same ID.
	PutClaim(ctx context.Context, c Claim) error
	// DeleteClaim forgets the claim; one that is not there is no error.
	DeleteClaim(ctx context.Context, id dlp.ID) error
	// Claims returns all claims of root, in any order.
	Claims(ctx context.Context, root Key) ([]Claim, error)
}

// Keys makes keyed hashes and seals small fields under keys of the
// installation that this package never sees. label separates uses: the same
// bytes under two labels give unrelated results.
type Keys interface {
	// MAC returns a keyed hash of parts, each taken with its length, so that
	// {"a", "bc"} and {"ab", "c"} differ. It is the same across restarts.
	MAC(label string, parts ...[]byte) [32]byte
	// Seal encrypts plain so that only Open with the same label gives it back.
	Seal(label string, plain []byte) ([]byte, error)
	// Open is the inverse of Seal.
	Open(label string, sealed []byte) ([]byte, error)
}

// Notifier is a source of file system events; *fsnotify.Watcher is behind it.
// Both channels are closed by Close.
type Notifier interface {
	Add(folder string) error
	Remove(folder string) error
	Events() <-chan fsnotify.Event
	Errors() <-chan error
	Close() error
}

// Encryption is one form in which files of a root are encrypted.
type Encryption struct {
	Ext   string                                   // what the encrypted form's name has behind that of the file: ".age"
	Write func(dst io.Writer, src io.Reader) error // src to dst, encrypted
	Note  string                                   // the text of the stub: who can open it
}

// Deps is what a Watcher needs from its neighbours.
type Deps struct {
	Handler Handler
	Store   Store
	Keys    Keys

	// Encryption is how files of the root are encrypted now: dlp.ErrNoWay where
	// nobody is named, or nobody's key can be used. Nil: always so.
	Encryption func(root Config) (Encryption, error)

	// RuleSet returns a digest of all that a verdict rests on: rules, policies
	// and the extractor's version. When it differs from that of a file's State
	// the file is read again. Call Watcher.Recheck after it changes. Required.
	RuleSet func() string

	// Stub returns the text of the stub for a file that was kept when the
	// process died before Claim.Remove. Nil, or an empty text: a built-in one
	// that names only the id.
	Stub func(ctx context.Context, id dlp.ID) []byte

	Log   *slog.Logger            // nil: nothing is logged
	Count func(what Count, n int) // nil: nothing is counted; must be safe for concurrent use

	// Notify makes the source of events for one root. Nil: fsnotify.
	Notify func() (Notifier, error)

	// Steps is called before each durable step with its name, such as
	// "take: rename". It is a seam for crash tests, which end the process in
	// it. Nil outside them.
	Steps func(step string)
}

// ErrNoRoot says that a path is not one of the configured roots, or that the
// root cannot be opened now.
var ErrNoRoot = errors.New("watch: no such root")

// Count is something that a Watcher counts. String gives a metric's label.
type Count uint8

// What is counted. None carries a name.
const (
	CountJudged      Count = iota // files handed to the Handler
	CountUnchanged                // files read but found to have the content that was judged before
	CountEmpty                    // empty files, passed without judging
	CountOurs                     // stubs and encrypted files recognised by digest
	CountSymlink                  // symbolic links passed over by a walk
	CountSkipped                  // pipes, sockets and devices passed over by a walk
	CountUnreadable               // files or folders that could not be opened or read
	CountChanged                  // files that changed while they were judged
	CountRetried                  // files that the Handler asked to be offered again
	CountTaken                    // files taken into the root's own folder
	CountPutBack                  // files put back
	CountRemoved                  // files removed after the vault had them
	CountEncrypted                // files replaced by NAME.age
	CountRestored                 // files restored after release
	CountSwept                    // claims that a sweep finished or undid
	CountSweepFailed              // claims that a sweep could neither finish nor undo
	CountStranger                 // entries in the root's own folder that no claim explains
	CountOverflow                 // event queues that overflowed
	CountUnwatched                // folders that could not be watched and are polled
	CountReconcile                // complete walks of a root
	CountRootFailed               // roots that could not be opened
	CountPanic                    // Handler calls that panicked
)

var countNames = [...]string{"judged", "unchanged", "empty", "ours", "symlink", "skipped", "unreadable", "changed", "retried",
	"taken", "put_back", "removed", "encrypted", "restored", "swept", "sweep_failed", "stranger", "overflow",
	"unwatched", "reconcile", "root_failed", "panic"}

// Counts returns every Count.
func Counts() []Count {
	cs := make([]Count, len(countNames))
	for i := range cs {
		cs[i] = Count(i)
	}
	return cs
}

// String returns the label: lower-case words joined by "_".
func (c Count) String() string {
	if int(c) < len(countNames) {
		return countNames[c]
	}
	return "other"
}
