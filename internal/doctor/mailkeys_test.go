package doctor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/doctor"
)

func TestMailKeys(t *testing.T) {
	for want, seen := range map[string]doctor.MailKeysSeen{
		"":                 {All: 3},
		"1 of them hold a": {All: 3, Secret: 1},
		"2 of them cannot": {All: 3, Unreadable: 2},
		"3 of them have e": {All: 3, Ended: 3},
		"2 of them expire": {All: 3, Ending: 2},
	} {
		got := one(doctor.MailKeys(func() (doctor.MailKeysSeen, error) { return seen, nil }))
		switch {
		case want == "" && (len(got) != 1 || got[0].Level != doctor.OK):
			t.Errorf("all well: got %+v", got)
		case want != "" && (len(got) != 2 || got[1].Level != doctor.Warn || !strings.HasPrefix(got[1].Found, want) || got[1].Remedy == ""):
			t.Errorf("%+v: got %+v, want %q", seen, got, want)
		}
	}
	got := one(doctor.MailKeys(func() (doctor.MailKeysSeen, error) { return doctor.MailKeysSeen{}, errors.New("boom") }))
	if len(got) != 1 || got[0].Level != doctor.Fail {
		t.Errorf("a folder that cannot be read: got %+v", got)
	}
}
