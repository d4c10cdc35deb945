package smtp

import (
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// mailCommand is MAIL with those of the parameters that the next hop offers to
// understand. Nothing a client sent goes out as it came: every value was
// decoded and is encoded anew.
func (h *hop) mailCommand(from dlp.Address, opt MailOptions) string {
	var b strings.Builder
	b.WriteString("MAIL FROM:<" + from.String() + ">")
	if h.offersSize && opt.Size > 0 {
		b.WriteString(" SIZE=" + strconv.FormatInt(opt.Size, 10))
	}
	if h.offers8Bit && opt.Body != "" {
		b.WriteString(" BODY=" + opt.Body)
	}
	if h.offersDSN && opt.Ret != "" {
		b.WriteString(" RET=" + opt.Ret)
	}
	if h.offersDSN && opt.EnvID != "" {
		b.WriteString(" ENVID=" + encodeXtext(opt.EnvID))
	}
	return b.String()
}

// rcptCommand is RCPT, as mailCommand.
func (h *hop) rcptCommand(rcpt dlp.Address, p dlp.RcptParams) string {
	var b strings.Builder
	b.WriteString("RCPT TO:<" + rcpt.String() + ">")
	if h.offersDSN && p.Notify != "" {
		b.WriteString(" NOTIFY=" + p.Notify)
	}
	if h.offersDSN && p.ORcpt != "" {
		kind, addr, _ := strings.Cut(p.ORcpt, ";")
		b.WriteString(" ORCPT=" + kind + ";" + encodeXtext(addr))
	}
	return b.String()
}

// encodeXtext writes s so that nothing in it can end a parameter. RFC 3461 4.
func encodeXtext(s string) string {
	const hexits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c < '!' || c > '~' || c == '+' || c == '=' {
			b.Write([]byte{'+', hexits[c>>4], hexits[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
