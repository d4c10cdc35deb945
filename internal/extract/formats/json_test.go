package formats

import "testing"

// TestLooksJSON holds what of the texts that begin with a bracket is JSON.
func TestLooksJSON(t *testing.T) {
	for text, want := range map[string]bool{
		`{"a":1}`:                    true,
		"{\n  \"a\" : [":             true,
		`{"a very long name`:         true,
		`{"say \"x\"": 2`:            true,
		"{}\n{\"a\":1}":              true,
		`[{"a":1}]`:                  true,
		`[[[1, -2.5e3], "a:b"]]`:     true,
		`["a", "b"]`:                 true,
		"[true]\n":                   true,
		`[null, "x"]`:                true,
		"[server]\nhost = \"x:1\"\n": false, // TOML
		"[[rules]]\nid = \"a\"\n":    false,
		"[\"a\".b]\nc = \"x\"\n":     false,
		"[INFO] user: \"ada\"":       false, // logs
		"[2026-01-02 10:00:00] a: b": false,
		"[10:00:00] a: b":            false,
		"[12] took: 3 s":             false,
		"[true] flag: \"x\"":         false,
		"[] to do: call":             false,
		"[ ] to do: call":            false,
		"{name}: \"x\"":              false,
		"{{ template }}: \"x\"":      false,
		"{ \"a\" } : x":              false,
		"{":                          false, "[": false, "": false,
	} {
		if got := looksJSON(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
		if want {
			continue
		}
		if k := sniff([]byte(text), place{}); k.media == mediaJSON {
			t.Errorf("%q: sniffed as %s", text, k.media)
		}
	}
}
