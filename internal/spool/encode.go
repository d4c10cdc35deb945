package spool

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// version is of the sealed state's plaintext (docs/vault.md).
const version = 1

// errState says that the sealed state opened and is not one of ours.
var errState = errors.New("not a message's state of this version")

type rcptJSON struct {
	Addr     dlp.AddressBytes `json:"addr"`
	State    string           `json:"state"`
	Code     int              `json:"code,omitempty"`
	Enhanced string           `json:"enhanced,omitempty"`
	At       string           `json:"at,omitempty"`
	Tries    int              `json:"tries,omitempty"`
	Notify   string           `json:"notify,omitempty"`
	ORcpt    []byte           `json:"orcpt,omitempty"`
}

type stateJSON struct {
	V     int              `json:"v"`
	From  dlp.AddressBytes `json:"from"`
	Body  string           `json:"body,omitempty"`
	UTF8  bool             `json:"utf8,omitempty"`
	Ret   string           `json:"ret,omitempty"`
	EnvID []byte           `json:"envid,omitempty"`
	Told  bool             `json:"told,omitempty"`
	Died  int              `json:"died,omitempty"`
	Rcpts []rcptJSON       `json:"rcpts"`
	Trace []byte           `json:"trace,omitempty"`
	Front []byte           `json:"front,omitempty"`
}

func encodeState(m Message) ([]byte, error) {
	p := m.Params
	out := stateJSON{V: version, From: m.From.Bytes(), Body: p.Body, UTF8: p.UTF8, Ret: p.Ret, EnvID: []byte(p.EnvID), Told: m.DelayTold, Died: m.Deaths, Trace: m.Trace, Front: m.Front,
		Rcpts: make([]rcptJSON, len(m.Rcpts))}
	for i, r := range m.Rcpts {
		if r.State == "" {
			r.State = RcptPending
		}
		out.Rcpts[i] = rcptJSON{Addr: r.Addr.Bytes(), State: r.State, Code: r.Code, Enhanced: r.Enhanced, At: r.At, Tries: r.Tries,
			Notify: r.Params.Notify, ORcpt: []byte(r.Params.ORcpt)}
	}
	return json.Marshal(out)
}

func decodeState(b []byte, m *Message) error {
	var in stateJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return errState // the decoder's text quotes its input
	}
	if in.V != version {
		return fmt.Errorf("version %d: %w", in.V, errState)
	}
	m.From, m.Trace, m.Front = in.From.Address(), in.Trace, in.Front
	m.DelayTold, m.Deaths = in.Told, in.Died
	m.Params = dlp.MailParams{Body: in.Body, UTF8: in.UTF8, Ret: in.Ret, EnvID: string(in.EnvID)}
	m.Rcpts = make([]Rcpt, len(in.Rcpts))
	for i, r := range in.Rcpts {
		m.Rcpts[i] = Rcpt{Addr: r.Addr.Address(), State: r.State, Code: r.Code, Enhanced: r.Enhanced, At: r.At, Tries: r.Tries,
			Params: dlp.RcptParams{Notify: r.Notify, ORcpt: string(r.ORcpt)}}
	}
	return nil
}
