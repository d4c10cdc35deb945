package smtp

import (
	"slices"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// wording turns the outcome of a message into the reply to its client
// (docs/contract.md, SMTP replies). sent says that the message went to the next hop
// and was answered there: without it, no Passed outcome is believed.
func wording(out dlp.Outcome, sent bool, contact string) dlp.Reply {
	switch out.Kind {
	case dlp.Passed:
		if sent {
			return out.Reply
		}
	case dlp.Held:
		return heldReply(out.ID)
	case dlp.Split:
		if slices.ContainsFunc(out.Verdict.Rcpts, func(r dlp.RcptVerdict) bool { return r.Action == dlp.Hold }) {
			return heldReply(out.ID)
		}
		return acceptedReply(out.ID)
	case dlp.Spooled:
		return dlp.Reply{Code: 250, Enhanced: "2.0.0", Text: "Accepted for reading, id " + string(out.ID)}
	case dlp.QueueFull:
		return replyQueueFull
	case dlp.Rejected:
		return rejectedReply(out.Types, contact)
	case dlp.Looped:
		return toReply(errLoop)
	case dlp.NoRoom:
		return replyNoRoom
	case dlp.Unreached:
		return replyUnreached
	}
	return replyTryAgain
}

// wordingEach is the reply for each of rcpts; whole is that for the message. Of one
// that was split, nothing is held for who gets a copy, nor for whom the sender
// gets a DSN.
func wordingEach(rcpts []dlp.Address, out dlp.Outcome, whole dlp.Reply) []dlp.Reply {
	free := map[dlp.Address]struct{}{}
	if out.Kind == dlp.Split {
		for _, r := range out.Verdict.Rcpts {
			if r.Action != dlp.Hold {
				free[r.Rcpt] = struct{}{}
			}
		}
	}
	replies := make([]dlp.Reply, 0, len(rcpts))
	for _, rcpt := range rcpts {
		r := whole
		if _, ok := free[rcpt]; ok {
			r = acceptedReply(out.ID)
		}
		replies = append(replies, r)
	}
	return replies
}

func acceptedReply(id dlp.ID) dlp.Reply {
	return dlp.Reply{Code: 250, Enhanced: "2.0.0", Text: "Accepted for delivery, id " + string(id)}
}

func heldReply(id dlp.ID) dlp.Reply {
	return dlp.Reply{Code: 250, Enhanced: "2.0.0", Text: "Held for review, id " + string(id)}
}

// rejectedReply says what kind of data was found and where to turn, never the
// data itself.
func rejectedReply(types []dlp.Type, contact string) dlp.Reply {
	const most = 4 // kinds named; a longer list helps nobody
	var kinds []string
	for _, t := range types {
		if w := words(t); !slices.Contains(kinds, w) {
			kinds = append(kinds, w)
		}
	}
	text := "Refused by policy: this message may not leave"
	if len(kinds) > most {
		kinds = append(kinds[:most], "other protected data")
	}
	if len(kinds) > 0 {
		text = "Refused by policy: this message holds " + strings.Join(kinds, ", ")
	}
	if contact != "" {
		text += "; for help turn to " + contact
	}
	return dlp.Reply{Code: 550, Enhanced: "5.7.1", Text: text}
}

// words names a kind of data as a sender would.
func words(t dlp.Type) string {
	switch t {
	case "SSN", "ITIN":
		return "social security or taxpayer numbers"
	case "MRN", "PATIENT":
		return "patient records"
	case "HEALTH_PLAN_ID", "MBI", "MEDICAID_ID":
		return "health plan numbers"
	case "NPI", "DEA", "LICENSE":
		return "licence or provider numbers"
	case "ACCOUNT", "CREDIT_CARD", "IBAN", "US_BANK":
		return "account or card numbers"
	case "PASSPORT", "DRIVER_LICENSE", "NATIONAL_ID":
		return "identity documents"
	case "VIN", "DEVICE_ID", "UDI", "IP", "MAC", "URL":
		return "vehicle, device or network identifiers"
	case "EMAIL", "PHONE", "FAX", "NAME", "ADDRESS", "ZIP":
		return "names or contact data"
	case "DOB", "DATE", "AGE_OVER_89":
		return "dates of birth or other dates"
	case "BIOMETRIC", "PHOTO":
		return "biometric data"
	case "ICD10", "ICD9", "NDC", "LOINC", "SNOMED", "HCPCS", "DRUG", "CONDITION", "LAB":
		return "health information"
	case "SECRET":
		return "passwords or keys"
	}
	return "protected data"
}
