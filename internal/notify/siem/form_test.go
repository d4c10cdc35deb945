package siem_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stanch-dlp/stanch/internal/notify/siem"
)

// conforms are the dispositions that each action has.
//
// Source: schema.ocsf.io 1.4.0, profile security_control, action_id and disposition_id.
var conforms = map[int][]int{
	1: {1, 8, 14, 16, 20},   // Allowed: Allowed, Approved, Delayed, No Action, Count
	2: {2, 3, 4, 6, 24, 25}, // Denied: Blocked, Quarantined, Isolated, Dropped, Access Revoked, Rejected
	3: {15, 17, 19, 20},     // Observed: Detected, Logged, Alert, Count
	4: {9, 11, 14, 18, 22},  // Modified: Restored, Corrected, Delayed, Tagged, Captcha
}

// TestOCSF: each kind of event is one that OCSF 1.4.0 has, as its schema wants it.
func TestOCSF(t *testing.T) {
	t.Parallel()
	const doc = `"doc":"ipsrc6wgxswxtgeuodbhu5ivyu",`
	for line, want := range map[string]string{
		`"kind":"decision",` + doc + `"action":"quarantine","policy":"p","rules":["us-ssn"]`: "200601 new denied quarantined alert",
		`"kind":"decision",` + doc + `"action":"reject"`:                                     "200601 resolved denied blocked alert",
		`"kind":"decision",` + doc + `"action":"encrypt"`:                                    "200601 resolved modified corrected",
		`"kind":"release",` + doc + `"actor":"user:dana"`:                                    "200603 resolved allowed approved",
		`"kind":"release",` + doc + `"reason":"unencrypted"`:                                 "200603 resolved allowed approved alert",
		`"kind":"reject",` + doc + `"actor":"user:dana"`:                                     "200603 resolved denied blocked",
		`"kind":"export",` + doc + `"actor":"user:dana"`:                                     "200602 new observed alert alert",
		`"kind":"ask",` + doc + `"actor":"sender"`:                                           "200602 new observed logged",
		`"kind":"outcome",` + doc + `"result":"failed","ref":3`:                              "200602 new observed alert alert",
		`"kind":"deliver",` + doc + `"result":"undelivered"`:                                 "200602 new observed logged",
		`"kind":"call",` + doc + `"reason":"level_0"`:                                        "200602 new observed alert alert",
		`"kind":"bypass_on",` + doc + `"actor":"uid:0"`:                                      "200401 new allowed allowed alert",
		`"kind":"bypass_off",` + doc + `"actor":"uid:0"`:                                     "200401 new observed logged",
		`"kind":"scan_off"`: "200401 new allowed allowed alert",
		`"kind":"probe","reason":"lab","result":"missed"`:                  "200401 new observed alert alert",
		`"kind":"legal_hold",` + doc + `"reason":"placed","result":"done"`: "200401 new observed logged",
		`"kind":"pickup",` + doc + `"reason":"code_wrong"`:                 "200401 new observed logged",
		`"kind":"drill","reason":"start:officers"`:                         "200401 new observed logged",
		`"kind":"verify","result":"broken"`:                                "200401 new observed alert alert",
		`"kind":"restored"`:                                                "200401 new observed alert alert",
		`"kind":"tail_cut","ref":3`:                                        "200401 new observed alert alert",
	} {
		b, ok := siem.OCSF([]byte(`{"v":1,"seq":7,"time":"2026-03-01T10:00:00.123456Z",` + line + `,"mac":"00112233445566aa"}`))
		if !ok {
			t.Errorf("%s is not told", line)
			continue
		}
		var e struct {
			Activity    int   `json:"activity_id"`
			Category    int   `json:"category_uid"`
			Class       int   `json:"class_uid"`
			Type        int   `json:"type_uid"`
			Severity    int   `json:"severity_id"`
			Status      int   `json:"status_id"`
			Action      int   `json:"action_id"`
			Disposition int   `json:"disposition_id"`
			Time        int64 `json:"time"`
			IsAlert     bool  `json:"is_alert"`
			Metadata    struct {
				Version string
				Product struct {
					Name   string
					Vendor string `json:"vendor_name"`
				}
			}
			Info struct{ UID, Title string } `json:"finding_info"`
		}
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(e.Type, " ", map[int]string{1: "new", 4: "resolved"}[e.Status], " ", map[int]string{1: "allowed", 2: "denied", 3: "observed", 4: "modified"}[e.Action],
			" ", map[int]string{1: "allowed", 2: "blocked", 3: "quarantined", 8: "approved", 11: "corrected", 17: "logged", 19: "alert"}[e.Disposition])
		if e.IsAlert {
			got += " alert"
		}
		if got != want {
			t.Errorf("%s is %q, want %q", line, got, want)
		}
		switch {
		case e.Type != e.Class*100+e.Activity || e.Category != 2 || e.Severity < 1 || e.Severity > 5 || e.Time != 1772359200123:
			t.Errorf("%s: type, category, severity or time in %s", line, b)
		case e.Metadata.Version != "1.4.0" || e.Metadata.Product.Name == "" || e.Metadata.Product.Vendor == "" || e.Info.UID == "" || e.Info.Title == "":
			t.Errorf("%s lacks what is required: %s", line, b)
		case !slices.Contains(conforms[e.Action], e.Disposition) || e.Disposition == 19 && !e.IsAlert:
			t.Errorf("%s: action %d has no disposition %d, or an alert is none", line, e.Action, e.Disposition)
		}
	}
}
