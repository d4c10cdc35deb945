package dlp

// MailParams are the parameters of MAIL that stay with a message, also when it
// is held or queued. Values are validated and decoded; the zero value says that
// none was given.
type MailParams struct {
	Body  string // BODY=: "", "7BIT", "8BITMIME" (RFC 6152) or "BINARYMIME" (RFC 3030)
	UTF8  bool   // SMTPUTF8: addresses or header fields may be outside ASCII; RFC 6531 3.4
	Ret   string // RET=: "", "FULL" or "HDRS"; RFC 3461 4.3
	EnvID string // ENVID=, decoded from xtext: printable ASCII; RFC 3461 4.4
}

// RcptParams are the parameters of one RCPT, as MailParams.
type RcptParams struct {
	// Notify is NOTIFY=: "", "NEVER", or some of "SUCCESS", "FAILURE" and
	// "DELAY", in this order, joined by commas. RFC 3461 4.1.
	Notify string
	// ORcpt is ORCPT=: "addr-type;address", the address decoded from xtext, or
	// from the form of RFC 6533 3 where the type is "utf-8". RFC 3461 4.2.
	ORcpt string
}

// ParamsOf returns a function that gives the parameters of a recipient of d;
// the zero value for one that is none.
func (d *Document) ParamsOf() func(Address) RcptParams {
	if d.RcptParams == nil {
		return func(Address) RcptParams { return RcptParams{} }
	}
	byRcpt := make(map[Address]RcptParams, len(d.Rcpts))
	for i, r := range d.Rcpts {
		byRcpt[r] = d.RcptParams[i]
	}
	return func(a Address) RcptParams { return byRcpt[a] }
}
