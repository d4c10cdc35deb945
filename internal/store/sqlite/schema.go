package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// applicationID marks a database as stanch's: "stnc" in the file's header.
const applicationID = 0x73746e63

// migrations bring a database from version i to version i+1. What is released
// is never changed here; a new form is a new entry. Times are microseconds
// since 1970, 0 for none.
var migrations = [...]string{
	`
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE holds (
	seq      INTEGER PRIMARY KEY,       -- order of arrival
	id       TEXT NOT NULL UNIQUE,
	channel  INTEGER NOT NULL,          -- 1 mail, 2 file
	state    TEXT NOT NULL,             -- held, released, rejected, expired
	received INTEGER NOT NULL,
	policy   TEXT NOT NULL,
	rules    TEXT NOT NULL,             -- joined by spaces
	size     INTEGER NOT NULL,          -- bytes, unsealed
	sealed   BLOB NOT NULL,             -- envelope and digest, index key
	decided  INTEGER NOT NULL,
	note     BLOB,                      -- who and why, index key
	external INTEGER NOT NULL           -- 1: the content is vault/xx/ID.age
) STRICT;
CREATE INDEX holds_held ON holds(seq) WHERE state = 'held';
CREATE INDEX holds_files ON holds(id) WHERE external = 1 AND state <> 'expired';
CREATE TABLE hold_contents (id TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;

CREATE TABLE cases (
	id      TEXT PRIMARY KEY,
	channel INTEGER NOT NULL,
	decided INTEGER NOT NULL,
	sealed  BLOB NOT NULL               -- release key
) STRICT;

CREATE TABLE outbox (
	seq        INTEGER PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE,
	doc        TEXT NOT NULL,
	kind       TEXT NOT NULL,           -- release, copy, notice, dsn
	state      TEXT NOT NULL,           -- queued, delivered, failed, dropped
	created    INTEGER NOT NULL,
	next       INTEGER NOT NULL,
	expires    INTEGER NOT NULL,
	size       INTEGER NOT NULL,
	audit_seq  INTEGER NOT NULL,
	tries      INTEGER NOT NULL,
	sealed     BLOB NOT NULL,           -- sender, recipients and their state, index key
	external   INTEGER NOT NULL,        -- 1: the content is spool/xx/ID.age
	ended      INTEGER NOT NULL         -- when it left queued
) STRICT;
CREATE INDEX outbox_next ON outbox(next) WHERE state = 'queued';
CREATE INDEX outbox_ended ON outbox(ended) WHERE state <> 'queued';
CREATE INDEX outbox_files ON outbox(id) WHERE external = 1 AND state = 'queued';
CREATE TABLE outbox_contents (id TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;

CREATE TABLE repeats (key BLOB NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (key, id)) STRICT, WITHOUT ROWID;
CREATE INDEX repeats_id ON repeats(id);
CREATE INDEX repeats_at ON repeats(at);
CREATE TABLE notices (key BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE watch_states (key BLOB PRIMARY KEY, root BLOB NOT NULL, seen INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX watch_states_seen ON watch_states(root, seen);
CREATE TABLE watch_marks (digest BLOB PRIMARY KEY, id TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE watch_claims (id TEXT PRIMARY KEY, root BLOB NOT NULL, phase INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE INDEX watch_claims_root ON watch_claims(root);
`,
	// Form 2: documents that are read on in the background (kind and state
	// "reading"), messages set aside ("poison"), and where a message goes next,
	// as a keyed digest. What has not ended has ended = 0, whatever its state.
	`
ALTER TABLE outbox ADD COLUMN dest INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN why TEXT NOT NULL DEFAULT '';
DROP INDEX outbox_next;
DROP INDEX outbox_ended;
DROP INDEX outbox_files;
CREATE INDEX outbox_next ON outbox(next, dest) WHERE state = 'queued';
CREATE INDEX outbox_reading ON outbox(next, size) WHERE state = 'reading';
CREATE INDEX outbox_poison ON outbox(next, size) WHERE state = 'poison';
CREATE INDEX outbox_open ON outbox(seq) WHERE ended = 0;
CREATE INDEX outbox_ended ON outbox(ended) WHERE ended > 0;
CREATE INDEX outbox_files ON outbox(id) WHERE external = 1 AND ended = 0;
CREATE INDEX outbox_doc ON outbox(doc);
`,
	// Form 3: calls about held documents that cannot wait.
	`
CREATE TABLE calls (
	id    TEXT PRIMARY KEY,             -- of holds, while it is held
	since INTEGER NOT NULL,
	level INTEGER NOT NULL,             -- calls made
	due   INTEGER NOT NULL              -- of the next
) STRICT, WITHOUT ROWID;
`,
	// Form 4: what waits for one destination is found whatever waits for others.
	`
DROP INDEX outbox_next;
CREATE INDEX outbox_next ON outbox(next) WHERE state = 'queued';
CREATE INDEX outbox_dest ON outbox(dest, next) WHERE state = 'queued';
`,
	// Form 5: whose key contents and cases are sealed to; '' is the release key,
	// of before there was one key for each period.
	`
ALTER TABLE holds ADD COLUMN period TEXT NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN period TEXT NOT NULL DEFAULT '';
CREATE INDEX holds_period ON holds(period, state);
CREATE INDEX cases_period ON cases(period);
`,
	// Form 6: messages that somebody opens in a browser (docs/portal.md). It is also
	// the first whose outbox may hold the kind "proved", and whose watch claims say
	// what the encrypted form's name ends in: a program that knows form 5 would
	// deliver the one in the clear, and not find the other.
	`
CREATE TABLE parcels (
	id       TEXT PRIMARY KEY,
	doc      TEXT NOT NULL,
	state    TEXT NOT NULL,             -- waiting, expired, revoked
	created  INTEGER NOT NULL,
	expires  INTEGER NOT NULL,
	size     INTEGER NOT NULL,          -- bytes, sealed
	sealed   BLOB NOT NULL,             -- for whom, from whom, its code's digest: index key
	version  INTEGER NOT NULL,
	external INTEGER NOT NULL,          -- 1: the content is pickup/xx/ID.sealed
	ended    INTEGER NOT NULL           -- when it left waiting
) STRICT;
CREATE INDEX parcels_expires ON parcels(expires) WHERE ended = 0;
CREATE INDEX parcels_created ON parcels(created);
CREATE INDEX parcels_ended ON parcels(ended) WHERE ended > 0;
CREATE TABLE parcel_contents (id TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
`,
	// Form 7: what senders ask for of what is held of them.
	`
CREATE TABLE asks (
	id     TEXT PRIMARY KEY,            -- of holds, until it is expired
	at     INTEGER NOT NULL,
	sealed BLOB NOT NULL                -- why, in their words: index key
) STRICT, WITHOUT ROWID;
`,
	// Form 8: what is counted of each day, and what is held by its age.
	`
CREATE TABLE figures (
	day  INTEGER NOT NULL,              -- since 1970, UTC
	what TEXT NOT NULL,                 -- internal/tally
	of   TEXT NOT NULL,                 -- a rule, a channel, a keyed pseudonym
	n    INTEGER NOT NULL,
	doc  TEXT NOT NULL,                 -- the document that was counted last
	PRIMARY KEY (day, what, of)
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_age ON holds(received) WHERE state = 'held';
`,
	// Form 9: documents that are kept whatever their time. An older program would
	// let them expire.
	`
CREATE TABLE legal_holds (
	id    TEXT PRIMARY KEY,             -- of holds or cases
	since INTEGER NOT NULL,
	note  BLOB NOT NULL                 -- who and why, index key
) STRICT, WITHOUT ROWID;
`,
	// Form 10: what held documents are found by, as keyed digests. Those that are
	// there have none yet: that is no work of an open (Vault.IndexSome).
	`
ALTER TABLE holds ADD COLUMN terms TEXT;          -- JSON; NULL: none were given yet
CREATE TABLE hold_terms (
	term  INTEGER NOT NULL,
	state INTEGER NOT NULL,             -- of the hold, as stateNumber has it
	hold  INTEGER NOT NULL,             -- its seq
	PRIMARY KEY (term, state, hold)
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_unindexed ON holds(seq) WHERE terms IS NULL;
DROP INDEX holds_held;
CREATE INDEX holds_state ON holds(state, seq);
DROP INDEX holds_age;
CREATE INDEX holds_age ON holds(state, received);
`,
	// Form 11: what waits by its document.
	`
CREATE INDEX parcels_doc ON parcels(doc);
`,
	// Form 12: passkeys of those who open messages in a browser (docs/portal.md), and
	// tries of them counted in parcels: an older program would forget the count.
	`
CREATE TABLE passkeys (
	id      TEXT PRIMARY KEY,
	mailbox BLOB NOT NULL,              -- keyed digest of the address
	created INTEGER NOT NULL,
	used    INTEGER NOT NULL,
	version INTEGER NOT NULL,
	sealed  BLOB NOT NULL               -- whose, credential and public key: index key
) STRICT, WITHOUT ROWID;
CREATE INDEX passkeys_mailbox ON passkeys(mailbox);
CREATE INDEX passkeys_used ON passkeys(used);
`,
	// Form 13: legal holds that stand no more, with why they were lifted; and calls by
	// when they are due.
	`
CREATE TABLE lifted_holds (
	seq       INTEGER PRIMARY KEY,
	id        TEXT NOT NULL,
	since     INTEGER NOT NULL,
	note      BLOB NOT NULL,            -- who and why it stood, index key
	lifted    INTEGER NOT NULL,
	lift_note BLOB NOT NULL             -- who lifted it and why, index key
) STRICT;
CREATE INDEX calls_due ON calls(due, id);
`,
	// Form 14: figures by what is counted, and of blocks of 30 days together, so that a
	// long period is read without what it is not asked for, and in few rows.
	`
CREATE TABLE counted (
	what TEXT NOT NULL,                 -- a constant of internal/tally; with @ behind it: of a block of days
	day  INTEGER NOT NULL,              -- since 1970-01-01, UTC; of a block the first
	of   TEXT NOT NULL,                 -- what it is counted by
	n    INTEGER NOT NULL,
	doc  TEXT NOT NULL,                 -- the document that was counted last
	PRIMARY KEY (what, day, of)
) STRICT, WITHOUT ROWID;
INSERT INTO counted SELECT what, day, of, n, doc FROM figures;
INSERT INTO counted SELECT what || '@', max(day) - max(day) % 30, of, sum(n), doc FROM figures GROUP BY what, day / 30, of;
DROP TABLE figures;
ALTER TABLE counted RENAME TO figures;
`,
	// Form 15: what waits for the second of two decisions is found without all that is
	// held.
	`
CREATE INDEX holds_noted ON holds(seq) WHERE state = 'held' AND note IS NOT NULL;
`,
}

// migrate brings the database to this version's form, each step in one
// transaction, and compares the key it belongs to.
func migrate(ctx context.Context, conn *sql.Conn, keyID string) error {
	var version, app int
	if err := pragma(ctx, conn, "user_version", &version); err != nil {
		return err
	}
	if err := pragma(ctx, conn, "application_id", &app); err != nil {
		return err
	}
	var tables int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return fmt.Errorf("sqlite: open: read schema: %w", classify(err))
	}
	if app != applicationID && (app != 0 || version != 0 || tables != 0) {
		return ErrForeign
	}
	if version > len(migrations) {
		return fmt.Errorf("%w: it has form %d, this version knows %d", ErrNewer, version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		if err := step(ctx, conn, version); err != nil {
			return fmt.Errorf("sqlite: bring database to form %d: %w", version+1, classify(err))
		}
	}
	return checkKey(ctx, conn, keyID)
}

func pragma(ctx context.Context, conn *sql.Conn, name string, into *int) error {
	if err := conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(into); err != nil {
		return fmt.Errorf("sqlite: open: pragma %s: %w", name, classify(err))
	}
	return nil
}

func step(ctx context.Context, conn *sql.Conn, version int) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", version+1, applicationID)); err != nil {
		return err
	}
	return tx.Commit()
}

// metaKey is the row of meta that names the index key.
const metaKey = "index_key_id"

func checkKey(ctx context.Context, conn *sql.Conn, keyID string) error {
	var got string
	err := conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", metaKey).Scan(&got)
	if errors.Is(err, sql.ErrNoRows) {
		if _, err := conn.ExecContext(ctx, "INSERT INTO meta VALUES (?, ?)", metaKey, keyID); err != nil {
			return fmt.Errorf("sqlite: note key: %w", classify(err))
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("sqlite: read key note: %w", classify(err))
	}
	if got != keyID {
		return ErrWrongKey
	}
	return nil
}
