package siem

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/dlp"
)

// body writes an event in one of the formats.
func (e *event) body(format, version string) ([]byte, error) {
	switch format {
	case formatCEF:
		return []byte(e.cef(version)), nil
	case formatOCSF:
		return json.Marshal(e.ocsf(version))
	}
	return json.Marshal(e)
}

var (
	cefHead  = strings.NewReplacer(`\`, `\\`, `|`, `\|`, "\n", " ", "\r", " ")
	cefValue = strings.NewReplacer(`\`, `\\`, `=`, `\=`, "\n", `\n`, "\r", `\r`)
)

// class is what kind of event it is, with the action of a decision.
func (e *event) class() string {
	if e.Kind == audit.Decision {
		return string(e.Kind) + ":" + e.Action
	}
	return string(e.Kind)
}

// cef is the event in ArcSight's Common Event Format.
//
// Source: Micro Focus Security ArcSight Common Event Format, version 26
// (CEF:0), "Header Information" and "ArcSight Extension Dictionary".
func (e *event) cef(version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CEF:0|stanch|stanch|%s|%s|%s|%d|", cefHead.Replace(version), cefHead.Replace(e.class()), cefHead.Replace(e.Name), e.Severity)
	sep := ""
	field := func(key, value string) {
		if value != "" {
			b.WriteString(sep + key + "=" + cefValue.Replace(value))
			sep = " "
		}
	}
	labelled := func(key, label, value string) {
		if value != "" {
			field(key+"Label", label)
			field(key, value)
		}
	}
	count := func(key, label string, n int) {
		if n > 0 {
			labelled(key, label, strconv.Itoa(n))
		}
	}
	field("rt", strconv.FormatInt(e.Time.UnixMilli(), 10))
	field("externalId", e.ID)
	field("dvchost", e.Host)
	field("cat", string(e.Kind))
	field("act", e.Action)
	field("outcome", e.Result)
	field("reason", e.Reason)
	field("suser", e.Actor)
	field("stanchFor", e.For)
	field("app", e.Channel)
	labelled("cs1", "document", e.Doc)
	labelled("cs2", "policy", e.Policy)
	labelled("cs3", "rules", strings.Join(e.Rules, ","))
	labelled("cs4", "causes", strings.Join(e.Causes, ","))
	labelled("cs5", "senderPseudonym", e.Sender)
	labelled("cs6", "of", e.Of)
	labelled("flexString1", "ways", strings.Join(e.Ways, ","))
	labelled("flexString2", "until", e.Until)
	count("cn1", "findings", e.Findings)
	count("cn2", "gaps", e.Gaps)
	count("cn3", "recipients", e.Rcpts)
	field("msg", e.Checkpoint)
	return b.String()
}

// ocsfVersion is the version of the schema that events are written in.
const ocsfVersion = "1.4.0"

// finding is an event of OCSF: Data Security Finding (2006) for what is done
// with a document, Detection Finding (2004) for the rest.
//
// Source: schema.ocsf.io 1.4.0, classes data_security_finding and
// detection_finding, profile security_control.
type finding struct {
	ActivityID  int         `json:"activity_id"`
	CategoryUID int         `json:"category_uid"`
	ClassUID    int         `json:"class_uid"`
	TypeUID     int         `json:"type_uid"`
	SeverityID  int         `json:"severity_id"`
	StatusID    int         `json:"status_id"`
	Time        int64       `json:"time"` // milliseconds since 1970
	IsAlert     bool        `json:"is_alert"`
	Action      int         `json:"action_id"`
	Disposition int         `json:"disposition_id"`
	Message     string      `json:"message"`
	Metadata    metadata    `json:"metadata"`
	Info        findingInfo `json:"finding_info"`
	Policy      *policy     `json:"policy,omitempty"`
	Unmapped    *event      `json:"unmapped"` // all of it in our own form
}

type metadata struct {
	Version  string   `json:"version"`
	UID      string   `json:"uid"`
	Profiles []string `json:"profiles"`
	LogName  string   `json:"log_name"`
	Product  product  `json:"product"`
}

type product struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor_name"`
	Version string `json:"version"`
}

type findingInfo struct {
	UID   string   `json:"uid"`
	Title string   `json:"title"`
	Types []string `json:"types,omitempty"`
}

type policy struct {
	UID string `json:"uid"`
}

// Values of OCSF 1.4.0.
const (
	categoryFindings    = 2
	classDetection      = 2004
	classDataSecurity   = 2006
	activityCreate      = 1
	activityUpdate      = 2
	activityClose       = 3
	statusNew           = 1
	statusResolved      = 4
	actionAllowed       = 1
	actionDenied        = 2
	actionObserved      = 3
	actionModified      = 4
	dispositionAllowed  = 1
	dispositionBlocked  = 2
	dispositionHeld     = 3 // Quarantined
	dispositionRejected = 2
	dispositionApproved = 8
	dispositionCorrect  = 11 // Corrected: it goes encrypted
	dispositionLogged   = 17
	dispositionAlert    = 19
)

func (e *event) ocsf(version string) finding {
	f := finding{ActivityID: activityCreate, CategoryUID: categoryFindings, ClassUID: classDetection, StatusID: statusNew,
		SeverityID: ocsfSeverity(e.Severity), Time: e.Time.UnixMilli(), IsAlert: e.alarm(), Action: actionObserved, Disposition: dispositionLogged, Message: e.Name,
		Metadata: metadata{Version: ocsfVersion, UID: e.ID, Profiles: []string{"security_control"}, LogName: "audit",
			Product: product{Name: "stanch", Vendor: "stanch", Version: version}},
		Info: findingInfo{UID: e.ID, Title: e.Name, Types: e.Rules}, Unmapped: e}
	if f.IsAlert {
		f.Disposition = dispositionAlert
	}
	switch e.Kind {
	case audit.Decision, audit.Release, audit.Reject, audit.Export, audit.Outcome, audit.Deliver, audit.Call, audit.Ask:
		f.ClassUID, f.Info.UID = classDataSecurity, e.Doc
	}
	switch {
	case e.Kind == audit.Decision && e.Action == dlp.Hold.String():
		f.Action, f.Disposition = actionDenied, dispositionHeld
	case e.Kind == audit.Decision && e.Action == dlp.Reject.String():
		f.Action, f.Disposition, f.StatusID = actionDenied, dispositionBlocked, statusResolved
	case e.Kind == audit.Decision:
		f.Action, f.Disposition, f.StatusID = actionModified, dispositionCorrect, statusResolved
	case e.Kind == audit.Release:
		f.ActivityID, f.StatusID, f.Action, f.Disposition = activityClose, statusResolved, actionAllowed, dispositionApproved
	case e.Kind == audit.Reject:
		f.ActivityID, f.StatusID, f.Action, f.Disposition = activityClose, statusResolved, actionDenied, dispositionRejected
	case e.Kind == audit.BypassOn || e.Kind == audit.ScanOff:
		f.Action, f.Disposition = actionAllowed, dispositionAllowed
	case f.ClassUID == classDataSecurity:
		f.ActivityID = activityUpdate
	}
	f.TypeUID = f.ClassUID*100 + f.ActivityID
	if e.Policy != "" {
		f.Policy = &policy{UID: e.Policy}
	}
	return f
}

// ocsfSeverity is the severity_id of 0 to 10.
func ocsfSeverity(n int) int {
	switch {
	case n >= 9:
		return 5 // Critical
	case n >= 7:
		return 4 // High
	case n >= 5:
		return 3 // Medium
	case n >= 3:
		return 2 // Low
	}
	return 1 // Informational
}
