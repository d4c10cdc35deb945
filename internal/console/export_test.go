package console

// Permission is what a route asks for.
type Permission = permission

// Routes lists every route with what it needs.
func Routes() map[string]Permission {
	out := map[string]Permission{}
	for _, rt := range (&Console{}).routes() {
		out[rt.pattern] = rt.needs
	}
	return out
}

// TOTPCode is the code of a step.
func TOTPCode(secret []byte, step int64) string { return totpCode(secret, step) }

// What charts are made with.
var (
	StepOf  = stepOf
	Grouped = grouped
	Likely  = likely
)

// SecretKey opens the reviewer's key of x.
func (u *Users) SecretKey(x User, password string, keys Keys) ([]byte, error) {
	return u.secretKey(x, password, keys)
}

// TakeStep uses up the code of a step.
func (u *Users) TakeStep(name string, step int64) error { return u.takeStep(name, step) }
