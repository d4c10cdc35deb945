package doctor

import (
	"context"
	"strings"
)

// Outside is one use of cryptography that FIPS 140 does not approve.
type Outside struct {
	Object string // what is protected so, such as "keys of the vault"
	By     string // by what
	Remedy string // what is approved in its place; "" where there is nothing
}

// FIPSModule is the FIPS 140-3 module of the process that is looked at.
type FIPSModule struct {
	On      bool
	Version string // of Go's module
	Whose   string // "the running serve"
}

// FIPS tells whether the module does the cryptography, and where it does, what
// else protects something all the same. Where it is off that is one line: most
// sites ask for nothing else.
func FIPS(m FIPSModule, outside []Outside) Check {
	return Check{Name: "fips", Run: func(context.Context) []Finding {
		if !m.On {
			names := make([]string, len(outside))
			for i, o := range outside {
				names[i] = o.Object
			}
			return []Finding{good("fips", "%s runs without the FIPS 140-3 module (GODEBUG=fips140=on); with it would lie outside: %s", m.Whose, strings.Join(names, ", "))}
		}
		out := []Finding{good("fips", "%s runs with Go's FIPS 140-3 module %s: all that FIPS 140 approves is done by it", m.Whose, m.Version)}
		for _, o := range outside {
			remedy := o.Remedy
			if remedy == "" {
				remedy = "There is nothing approved in its place: keep the data folder on an encrypted disk whose module is approved."
			}
			out = append(out, poor(o.Object, "outside FIPS 140: "+o.By, remedy))
		}
		return out
	}}
}
