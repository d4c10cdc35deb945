package doctor

import "context"

// ReviewersKey is that of an account of the console.
type ReviewersKey struct {
	Account  string `json:"account"`
	Role     string `json:"role"`
	Disabled bool   `json:"disabled,omitempty"`
	Public   string `json:"public"`
	Named    bool   `json:"named"` // in vault.reviewers
}

// Reviewers tells which accounts have a key that opens nothing yet, and which one
// that they should not have any more. Without any it says nothing.
func Reviewers(keys func() ([]ReviewersKey, error)) Check {
	return Check{Name: "reviewers", Run: func(context.Context) []Finding {
		all, err := keys()
		if err != nil {
			return []Finding{poor("accounts", "cannot be read", "Run this as the user that serves.")}
		}
		var out []Finding
		for _, k := range all {
			object := "key of the login " + k.Account
			switch {
			case k.Named && (k.Disabled || k.Role != "officer" && k.Role != "admin"):
				out = append(out, poor(object, "is named in vault.reviewers, and the account may not decide any more", "Take it out of vault.reviewers, restart, and run `stanch vault reseal`."))
			case k.Named:
				out = append(out, good(object, "is named in vault.reviewers"))
			default:
				out = append(out, poor(object, "waits: it opens nothing", "Ask the owner in person whether "+short(k.Public)+" is theirs; then add it to vault.reviewers (`stanch reviewers list` has it whole) and restart."))
			}
		}
		return out
	}}
}

// short is as much of a public key as tells it apart.
func short(public string) string {
	if len(public) > 62 {
		return public[:40] + "…"
	}
	return public
}
