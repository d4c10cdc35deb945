package doctor

import "context"

// Secrets tells whether the files of secrets that the configuration names for its
// provider and its receivers of events can be read by their owner alone, and hold
// what they are for. amiss says what is wrong, with the line of the key.
func Secrets(amiss func() []error) Check {
	return Check{Name: "secrets", Run: func(context.Context) []Finding {
		var out []Finding
		for _, err := range amiss() {
			out = append(out, bad("files of secrets", err.Error(), "Mend the file that this key names; serve does not start with it so. Run this as the user that serves."))
		}
		if out == nil {
			out = append(out, good("files of secrets", "they hold what they are for, and their owner alone may read them"))
		}
		return out
	}}
}
