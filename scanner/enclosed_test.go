package scanner

import "testing"

// TestDigitsInFrames: several digits in circles are a number, one alone numbers a list.
func TestDigitsInFrames(t *testing.T) {
	for s, want := range map[string]string{
		"SSN: ⑤③⑥-②②-⑧①④⑤":       "SSN: 536-22-8145",
		"➎➌➏ ❷❷":                 "536 22",
		"⓪①, 🄋➀, ⓿❶, ⑴⑵, ⒈⒉, ⓵⓶": "01, 01, 01, 12, 12, 12",
		"①536-22-8145":           "①536-22-8145",
		"536-22-8145①":           "536-22-8145①",
		"① one ② two":            "① one ② two",
		"⑩⑪":                     "⑩⑪",
	} {
		if got := string(asMatched(s)); got != want {
			t.Errorf("%q is read as %q, want %q", s, got, want)
		}
		for cut := range s { // however it comes
			var x text
			x.add([]byte(s[:cut]))
			x.add([]byte(s[cut:]))
			x.flush()
			if got := string(x.norm); got != want {
				t.Errorf("%q cut at %d is read as %q, want %q", s, cut, got, want)
			}
		}
	}
}
