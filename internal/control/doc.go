// Package control is the socket by which commands speak to a running serve.
//
// It promises that a command gets from a running serve what it would get from
// the gateway itself: the same answers, the same errors, and held content that
// either arrives whole or ends in an error. The socket is 0600; who calls is
// taken from the kernel, not from the caller.
package control

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/stanch-dlp/stanch/internal/bypass"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/dossier"
	"github.com/stanch-dlp/stanch/internal/drill"
	"github.com/stanch-dlp/stanch/internal/gateway"
	"github.com/stanch-dlp/stanch/internal/pickup"
	"github.com/stanch-dlp/stanch/internal/probe"
	"github.com/stanch-dlp/stanch/internal/sample"
	"github.com/stanch-dlp/stanch/internal/spool"
	"github.com/stanch-dlp/stanch/internal/vault"
)

// Desk is what can be done about held documents and the outbox. It is
// satisfied by gateway.Gateway and by Client.
type Desk interface {
	ListHeld(ctx context.Context, all bool, header, actor string) ([]gateway.Held, error)
	ShowHeld(ctx context.Context, id dlp.ID, keys vault.Opened, actor string) (gateway.HeldDetail, error)
	ReleaseFor(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, rv gateway.Review) (gateway.Released, error)
	RejectFor(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, rv gateway.Review) error
	Export(ctx context.Context, id dlp.ID, keys vault.Opened, actor string, w io.Writer) error
	Locks(ctx context.Context, id dlp.ID) (vault.Locks, error)
	// Sampled lists the sample of passed mail since then, the newest first.
	Sampled(ctx context.Context, since time.Time) ([]sample.Entry, error)
	VaultPeriods(ctx context.Context) (vault.Periods, error)
	ResealVault(ctx context.Context, sealed map[dlp.ID][][]byte, actor string) error
	RotateVault(ctx context.Context, actor string) error
	VaultKeyFile(ctx context.Context) ([]byte, error)
	// Backup writes an encrypted copy of everything but the keys of the vault's
	// periods to w. What was written before an error is no backup.
	Backup(ctx context.Context, recipients []string, actor string, w io.Writer) error
	QueuePage(ctx context.Context, all bool, after dlp.ID) ([]gateway.Queued, error)
	ShowQueued(ctx context.Context, id dlp.ID) (gateway.Queued, error)
	RetryQueued(ctx context.Context, id dlp.ID, actor string) error
	DropQueued(ctx context.Context, id dlp.ID, actor string) error
	ListPickups(ctx context.Context, all bool) ([]gateway.Picked, error)
	RevokePickup(ctx context.Context, id dlp.ID, actor string) error
	ListPasskeys(ctx context.Context) ([]gateway.ListedPasskey, error)
	RemovePasskey(ctx context.Context, id dlp.ID, actor string) error
	Routes(ctx context.Context) ([]probe.Status, error)
	SendProbes(ctx context.Context, names []string, actor string) ([]probe.Status, error)
	BeginBypass(ctx context.Context, d time.Duration, reason, actor string) (gateway.Bypassed, error)
	EndBypass(ctx context.Context, actor string) (gateway.Bypassed, error)
	Bypasses(ctx context.Context, all bool) ([]gateway.Bypassed, error)
	NoteTable(ctx context.Context, c gateway.TableChange, actor string) error
	PlaceLegalHold(ctx context.Context, id dlp.ID, why, actor string) error
	LiftLegalHold(ctx context.Context, id dlp.ID, why, actor string) error
	LegalHolds(ctx context.Context, limit int) ([]gateway.LegalHold, error)
	LiftedHolds(ctx context.Context, limit int) ([]gateway.LegalHold, error)
	// Dossiers are of what may have been disclosed. Each look is on record.
	Dossiers(ctx context.Context, actor string) ([]dossier.Version, error)
	Dossier(ctx context.Context, id dlp.ID, n int, actor string) (gateway.Dossier, error)
	ExportDossier(ctx context.Context, id dlp.ID, actor string) (gateway.Dossier, error)
	BeginDossier(ctx context.Context, title string, items []dlp.ID, keys map[dlp.ID]vault.Opened, actor string) (dlp.ID, error)
	GatherDossier(ctx context.Context, id dlp.ID, base int, items []dlp.ID, keys map[dlp.ID]vault.Opened, actor string) error
	AssessDossier(ctx context.Context, id dlp.ID, base int, a dossier.Assessment, actor string) error
	// Drills name people of the site: each look is on record.
	Drills(ctx context.Context, actor string) ([]drill.Drill, error)
	Drill(ctx context.Context, id dlp.ID, actor string) (drill.Drill, error)
	StartDrill(ctx context.Context, p drill.Plan, actor string) (drill.Drill, error)
	StopDrill(ctx context.Context, id dlp.ID, actor string) error
	// NoteAccount records a change of a console's account before it is made: what
	// is such as "add:dana".
	NoteAccount(ctx context.Context, what, actor string) error
	// NoteDeputy records that an account has another deputy before it is so.
	NoteDeputy(ctx context.Context, c gateway.DeputyChange, actor string) error
}

// Process is the serve that answers, as a process.
type Process interface {
	Process() ProcessInfo
	// Status is what `stanch doctor` asks for.
	Status(ctx context.Context) Status
	// Upgrade starts what is installed now as this process's successor and
	// returns its process id once it is prepared.
	Upgrade(ctx context.Context) (pid int, err error)
}

// ProcessInfo says which process serves.
type ProcessInfo struct {
	PID     int    `json:"pid"`
	Version string `json:"version,omitempty"`
	// Claiming says that the service manager does not see yet whose child it is:
	// a stop would end it without order.
	Claiming bool `json:"claiming,omitempty"`
}

var errNoProcess = errors.New("control: this serve knows nothing of its process")

// ErrNotServing says that no serve answers on the socket.
var ErrNotServing = errors.New("control: no running serve answers")

// kinds are the errors that keep their identity across the socket.
var kinds = []struct {
	name string
	err  error
}{
	{"not_found", vault.ErrNotFound},
	{"not_queued_found", spool.ErrNotFound},
	{"not_held", gateway.ErrNotHeld},
	{"legal_hold", gateway.ErrLegalHold},
	{"no_legal_hold", gateway.ErrNoLegalHold},
	{"no_why", gateway.ErrNoWhy},
	{"not_queued", gateway.ErrNotQueued},
	{"busy", gateway.ErrBusy},
	{"second", gateway.ErrSecond},
	{"same", gateway.ErrSame},
	{"own", gateway.ErrOwn},
	{"not_for", gateway.ErrNotFor},
	{"no_way", gateway.ErrNoWay},
	{"unencrypted", gateway.ErrUnencrypted},
	{"reason", gateway.ErrReason},
	{"note", gateway.ErrNote},
	{"note_unread", gateway.ErrNoteUnread},
	{"no_root", gateway.ErrNoRoot},
	{"replaying", gateway.ErrReplaying},
	{"no_content", vault.ErrNoContent},
	{"locked", vault.ErrLocked},
	{"pickup_ended", pickup.ErrEnded},
	{"no_passkey", pickup.ErrNoPasskey},
	{"bad_id", dlp.ErrBadID},
	{"no_dossier", dossier.ErrNotFound},
	{"dossier_changed", dossier.ErrChanged},
	{"dossier_form", dossier.ErrForm},
	{"dossier_large", dossier.ErrLarge},
	{"dossier_full", dossier.ErrFull},
	{"dossier_damaged", dossier.ErrDamaged},
	{"dossier_slow", dossier.ErrSlow},
	{"dossier_item", dossier.ErrItem},
	{"no_drill", drill.ErrNotFound},
	{"drill_ended", drill.ErrEnded},
	{"drill_form", drill.ErrForm},
	{"drill_many", drill.ErrMany},
	{"no_drills", gateway.ErrNoDrills},
	{"drill_no_link", gateway.ErrDrillNoLink},
	{"bypass_off", bypass.ErrOff},
	{"bypass_on", bypass.ErrOn},
	{"bypass_none", bypass.ErrNone},
	{"bypass_too_long", bypass.ErrTooLong},
	{"bypass_reason", bypass.ErrReason},
}

// Error is an error of the gateway that came through the socket.
type Error struct {
	Kind string `json:"kind"` // one of kinds, or "other"
	Text string `json:"error"`
}

// Error returns the gateway's own words.
func (e *Error) Error() string { return e.Text }

// Is reports whether e stands for one of the gateway's sentinels.
func (e *Error) Is(target error) bool {
	for _, k := range kinds {
		if k.err == target && k.name == e.Kind {
			return true
		}
	}
	return false
}

func wireError(err error) Error {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return Error{Kind: k.name, Text: err.Error()}
		}
	}
	return Error{Kind: "other", Text: err.Error()}
}

// Status is what a running serve says of itself to `stanch doctor`.
type Status struct {
	ProcessInfo
	Loaded  time.Time `json:"loaded"` // when it last read its configuration
	Files   uint64    `json:"files"`  // how many files it may have open
	RuleSet string    `json:"ruleset"`
	FIPS    string    `json:"fips,omitempty"` // version of the FIPS 140-3 module it runs with
	Reading Reading   `json:"reading"`
	Failing []string  `json:"failing"` // of its health checks
	Alarms  []string  `json:"alarms"`  // what an operator should see, such as "bypass"
}

// Reading says whether what comes in is read. Anything but the two that are
// named here means that it is not, and does not pass.
type Reading string

// The states of reading.
const (
	ReadingOn  Reading = "on"
	ReadingOff Reading = "off" // [scan] enabled = false: all passes unread
)
