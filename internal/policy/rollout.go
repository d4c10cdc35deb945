package policy

import "slices"

// watched reports a mode in which nothing is done: a roll-out is watched until
// RolledOut says that it is enforced.
func watched(mode string) bool { return mode == modeMonitor || mode == modeRollout }

// Rollouts are the policies that are being brought in, by their ids and what each
// is for. OnGapPolicy stands for defaults.on_gap.
func (c *Config) Rollouts() (out []Policy) {
	for _, p := range c.Policies {
		if p.Mode == modeRollout {
			out = append(out, p)
		}
	}
	if c.Defaults.Mode == modeRollout {
		out = append(out, Policy{ID: OnGapPolicy, Description: "What could not be read", Action: c.Defaults.OnGap})
	}
	return out
}

// RolledOut returns c with those of its roll-outs in force that enforced names.
// The others stay as they are, watched.
func (c Config) RolledOut(enforced func(id string) bool) Config {
	c.Policies = slices.Clone(c.Policies)
	for i := range c.Policies {
		if p := &c.Policies[i]; p.Mode == modeRollout && enforced(p.ID) {
			p.Mode = modeEnforce
		}
	}
	if c.Defaults.Mode == modeRollout && enforced(OnGapPolicy) {
		c.Defaults.Mode = modeEnforce
	}
	return c
}
