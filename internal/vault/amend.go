package vault

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// Amendment changes what is kept of an item that stays held. It takes effect
// with the commit it is part of; ErrState where the item is not held any more.
type Amendment struct {
	ID     dlp.ID
	Sealed []byte // the envelope; nil: as it is
	Note   []byte // nil: as it is; empty: none stands any more

	Rules []dlp.RuleID // with Terms
	Terms []Term       // what it is found by; nil: as it is, and so are the rules
}

// Proposal is the first of two decisions that a release needs. PHI: it is kept
// sealed under the index key.
type Proposal struct {
	By        string
	At        time.Time
	Code      string // the reason's
	Words     string
	Encrypted bool
	Rcpts     []dlp.Address // for whom; none: for all
}

type proposalJSON struct {
	By        string             `json:"by"`
	At        time.Time          `json:"at"`
	Code      string             `json:"code,omitempty"`
	Words     string             `json:"words,omitempty"`
	Encrypted bool               `json:"encrypted,omitempty"`
	Rcpts     []dlp.AddressBytes `json:"rcpts,omitempty"`
}

// Propose returns the amendment that keeps p with the item id.
func (v *Vault) Propose(id dlp.ID, p Proposal) (Amendment, error) {
	plain, err := json.Marshal(noteJSON{V: version, Proposal: &proposalJSON{p.By, p.At, p.Code, p.Words, p.Encrypted, mapped(p.Rcpts, dlp.Address.Bytes)}})
	if err != nil {
		return Amendment{}, fmt.Errorf("vault: propose %s: %w", id, err)
	}
	note, err := v.keys.Seal(noteAD(id), plain)
	if err != nil {
		return Amendment{}, fmt.Errorf("vault: propose %s: %w", id, err)
	}
	return Amendment{ID: id, Note: note}, nil
}

// Narrow returns the amendment after which e is held for rcpts alone, and no
// proposal stands. The others have it.
func (v *Vault) Narrow(e Entry, rcpts []dlp.Address) (Amendment, error) {
	env := e.Envelope
	env.Rcpts, env.RcptParams = nil, nil
	for i, r := range e.Envelope.Rcpts {
		if !slices.Contains(rcpts, r) {
			env.Released = append(env.Released, r)
			continue
		}
		env.Rcpts = append(env.Rcpts, r)
		if i < len(e.Envelope.RcptParams) {
			env.RcptParams = append(env.RcptParams, e.Envelope.RcptParams[i])
		}
	}
	plain, err := encodeEnvelope(env, e.SHA256, listed{e.Causes, e.Confidence})
	if err != nil {
		return Amendment{}, fmt.Errorf("vault: narrow %s: %w", e.ID, err)
	}
	a := Amendment{ID: e.ID}
	if a.Sealed, err = v.keys.Seal(envelopeAD(e.ID), plain); err != nil {
		return Amendment{}, fmt.Errorf("vault: narrow %s: %w", e.ID, err)
	}
	if e.Proposal != nil {
		a.Note = []byte{}
	}
	return a, nil
}

// Learn returns the amendment after which e is held for rules and causes, with
// the highest confidence of found, and no proposal stands: it was made by who
// knew less.
func (v *Vault) Learn(e Entry, rules []dlp.RuleID, causes []dlp.Cause, found []dlp.Finding) (Amendment, error) {
	e.Rules, e.Causes, e.Confidence = rules, causes, highest(found)
	a := Amendment{ID: e.ID, Rules: rules, Terms: v.termsOf(&e)}
	plain, err := encodeEnvelope(e.Envelope, e.SHA256, listed{causes, e.Confidence})
	if err == nil {
		a.Sealed, err = v.keys.Seal(envelopeAD(e.ID), plain)
	}
	if err != nil {
		return Amendment{}, fmt.Errorf("vault: learn of %s: %w", e.ID, err)
	}
	if e.Proposal != nil {
		a.Note = []byte{}
	}
	return a, nil
}

func proposalIn(in *proposalJSON) *Proposal {
	if in == nil {
		return nil
	}
	return &Proposal{in.By, in.At, in.Code, in.Words, in.Encrypted, mapped(in.Rcpts, dlp.AddressBytes.Address)}
}
