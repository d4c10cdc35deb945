package formats_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestDeclaredEntities: what a document declares for itself is read as browsers show
// it, and one that comes to more than may be held is a gap.
func TestDeclaredEntities(t *testing.T) {
	laughs := `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x0 "536-22-8145 ">`
	for i := range 7 {
		laughs += `<!ENTITY x` + string(rune('1'+i)) + ` "` + strings.Repeat(`&x`+string(rune('0'+i))+`;`, 10) + `">`
	}
	chain := `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x0 "536">`
	for i := range 9 {
		chain += fmt.Sprintf(`<!ENTITY x%d "&x%d;">`, i+1, i)
	}
	many := strings.Repeat(`<!ENTITY y "z">`, 1000)
	for name, c := range map[string]struct{ doc, want, gap string }{
		"a colon":    {`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x:y "536">]><a>SSN &x:y;-22-8145</a>`, "SSN 536-22-8145", ""},
		"deep":       {chain + `]><a>SSN &x8;-22-8145 &x7;-22-8145</a>`, "536-22-8145", "too_large entities"},
		"many":       {`<?xml version="1.0"?><!DOCTYPE a [` + many + `<!ENTITY x "536">]><a>SSN &x;-22-8145 &y;</a>`, "-22-8145 z", "too_large entities"},
		"long":       {`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "536">]><a>SSN &x;-22-8145` + strings.Repeat(" and so on", 110_000) + `</a>`, "-22-8145", "too_large entities"},
		"long SVG":   {`<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x "536">]><svg xmlns="http://www.w3.org/2000/svg"><text>SSN &x;-22-8145` + strings.Repeat(" and so on", 110_000) + `</text></svg>`, "-22-8145", "too_large entities"},
		"XML":        {`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "536"><!ENTITY y '&x;-22'>]><a>SSN &y;-8145</a>`, "SSN 536-22-8145", ""},
		"SVG":        {`<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x "536-22">]><svg xmlns="http://www.w3.org/2000/svg"><text>SSN &x;-8145</text></svg>`, "SSN 536-22-8145", ""},
		"as numbers": {`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "&#53;&#51;6">]><a>SSN &x;-22-8145</a>`, "SSN 536-22-8145", ""},
		"the first":  {`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "536"><!ENTITY x "999">]><a>SSN &x;-22-8145</a>`, "SSN 536-22-8145", ""},
		"of itself":  {`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "&x;536&x;">]><a>SSN &x;</a>`, "536", "too_large entities"},
		"laughs":     {laughs + `]><a>&x7;</a>`, "536-22-8145", "too_large entities"},
	} {
		a := serve(t, false, limits, []byte(c.doc))
		if !strings.Contains(a.all(), c.want) {
			t.Errorf("%s: %v, %d bytes without %q", name, a.paths, len(a.all()), c.want)
		}
		if told := strings.Join(a.told(), ", "); told != c.gap {
			t.Errorf("%s: gaps %q, want %q", name, told, c.gap)
		}
	}
	plain := `<?xml version="1.0"?><!DOCTYPE a SYSTEM "a.dtd"><a>&lt;536&gt; &eacute;</a>`
	if a := serve(t, false, limits, []byte(plain)); len(a.paths) != 1 || len(a.gaps) > 0 {
		t.Errorf("none declared: %v %v", a.paths, a.told())
	}
}
