package cases

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/gold"
)

// TestCheckDigits holds the check digits computed here to examples that the
// issuers publish.
func TestCheckDigits(t *testing.T) {
	for _, c := range []struct {
		name, got, want string
	}{
		{"Luhn, ISO/IEC 7812", luhn("411111111111111"), "1"},
		{"NPI, CMS's example", luhn("80840" + "123456789"), "3"},
		{"VIN, 49 CFR 565", string(vinCheck([]byte("1M8GDM9A0KP042788"))), "X"},
		{"IBAN, ISO 13616", string(rune('0' + mod97("WEST12345698765432GB82"))), "1"},
		{"passport number, ICAO Doc 9303", mrzDigit("L898902C3"), "6"},
		{"birth date, ICAO Doc 9303", mrzDigit("740812"), "2"},
		{"whole zone, ICAO Doc 9303", mrzDigit("L898902C3" + "6" + "7408122" + "1204159" + "ZE184226B<<<<<1"), "0"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, c.got, c.want)
		}
	}
	if got := weighed("021000021", 3, 7, 1) % 10; got != 0 {
		t.Errorf("the routing number of a bank in New York leaves %d, want 0", got)
	}
}

func TestOf(t *testing.T) {
	for _, typ := range Types() {
		docs := Of(typ)
		if len(docs) < 500 {
			t.Errorf("%s: %d texts, want 500 or more", typ, len(docs))
		}
		if !reflect.DeepEqual(docs, Of(typ)) {
			t.Errorf("%s: another text from the same seed", typ)
		}
		texts := map[string]bool{}
		for _, d := range docs {
			texts[d.Text] = true
			if hit := strings.Contains(d.ID, "-hit-"); hit != (len(d.Spans) > 0) {
				t.Errorf("%s holds %d values\n%s", d.ID, len(d.Spans), d.Text)
			}
			if strings.Contains(d.Text, "[[") || strings.Contains(d.Text, "%!") {
				t.Errorf("%s is not filled in:\n%s", d.ID, d.Text)
			}
			for _, s := range d.Spans {
				if v := d.Text[s.Start:s.End]; s.Type != typ || v == "" || v != strings.TrimSpace(v) {
					t.Errorf("%s: label %q of %s", d.ID, v, s.Type)
				}
			}
		}
		if len(texts) < 500 {
			t.Errorf("%s: %d different texts, want 500 or more", typ, len(texts))
		}
	}
}

func TestWrite(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b); err != nil {
		t.Fatal(err)
	}
	docs, err := gold.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := docs[0], Of(Types()[0])[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("read back %+v, want %+v", got, want)
	}
}
