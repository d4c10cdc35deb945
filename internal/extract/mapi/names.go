package mapi

import (
	"fmt"
)

// Label returns what a property is called, as a header field of mail would be
// where there is one; "" for what holds no words for a reader: classes, keys,
// addresses of other kinds.
func (p *Prop) Label() string {
	if p.Name != "" {
		return p.Name
	}
	if p.LID != 0 {
		if s := numbered[p.LID]; s != "" {
			return s
		}
		return fmt.Sprintf("Property-%04X", p.LID)
	}
	if s, ok := labels[p.ID]; ok {
		return s
	}
	return fmt.Sprintf("Property-%04X", p.ID)
}

// numbered are named properties that have numbers: contacts, appointments,
// tasks, journal entries. [MS-OXPROPS] 2.
var numbered = map[uint32]string{
	0x8005: "FileUnder", 0x801b: "HomeAddress", 0x801a: "HomeAddress", 0x801c: "OtherAddress", 0x802b: "WebPage",
	0x8045: "Street", 0x8046: "City", 0x8047: "State", 0x8048: "ZIP", 0x8049: "Country", 0x804f: "Notes", 0x8062: "Instant messaging",
	0x8080: "Email", 0x8083: "Email", 0x8084: "Email", 0x8090: "Email", 0x8093: "Email", 0x8094: "Email", 0x80a0: "Email", 0x80a3: "Email",
	0x80a4: "Email", 0x80b2: "Fax", 0x80c2: "Fax", 0x80d2: "Fax", 0x8208: "Location", 0x820d: "Start", 0x820e: "End", 0x8232: "Recurrence",
	0x8238: "To", 0x823b: "To", 0x823c: "Cc", 0x8104: "Start", 0x8105: "Due", 0x811f: "Owner", 0x8121: "Assigner", 0x8534: "Mileage",
	0x8535: "Billing", 0x8539: "Companies", 0x853a: "Contacts", 0x8580: "Link", 0x8586: "Contacts", 0x8700: "Type", 0x8712: "Type",
	0x80de: "Birthday", 0x80df: "Anniversary",
}

// labels are properties that have a number of their own.
var labels = map[uint16]string{
	0x0037: "Subject", 0x003d: "", 0x0070: "Topic", 0x0e1d: "Subject", 0x001a: "", 0x0c1a: "From", 0x0c1f: "From", 0x5d01: "From",
	0x5d02: "From", 0x0042: "From", 0x0065: "From", 0x0044: "Received-By", 0x0078: "", 0x0076: "Received-By", 0x0040: "Received-By",
	0x0e04: "To", 0x0e03: "Cc", 0x0e02: "Bcc", 0x0050: "Reply-To", 0x1035: "Message-ID", 0x1042: "In-Reply-To", 0x1039: "References",
	0x0074: "To", 0x0072: "Bcc", 0x0073: "Cc", 0x007d: "", 0x0039: "Date", 0x0e06: "Delivery-Date", 0x0060: "Start", 0x0061: "End",
	0x0064: "", 0x001e: "", 0x0075: "", 0x0077: "", 0x0c1e: "", 0x3002: "", 0x0047: "", 0x0049: "From", 0x004d: "Author", 0x005a: "From",
	0x0e1e: "", 0x1000: "", 0x1013: "", 0x1009: "", 0x3001: "Name", 0x3003: "Address", 0x39fe: "Address", 0x3004: "Comment",
	0x3a00: "Account", 0x3a02: "Callback", 0x3a05: "Generation", 0x3a06: "GivenName", 0x3a07: "Government-ID", 0x3a08: "Phone",
	0x3a09: "Phone", 0x3a0a: "Initials", 0x3a0b: "Keyword", 0x3a0c: "Language", 0x3a0d: "Location", 0x3a0f: "Name", 0x3a10: "ID",
	0x3a11: "Surname", 0x3a12: "", 0x3a13: "Name", 0x3a15: "Address", 0x3a16: "Company", 0x3a17: "Title", 0x3a18: "Department",
	0x3a19: "Office", 0x3a1a: "Phone", 0x3a1b: "Phone", 0x3a1c: "Phone", 0x3a1d: "Phone", 0x3a1e: "Phone", 0x3a1f: "Phone", 0x3a20: "Name",
	0x3a21: "Pager", 0x3a22: "ID", 0x3a23: "Fax", 0x3a24: "Fax", 0x3a25: "Fax", 0x3a26: "Country", 0x3a27: "City", 0x3a28: "State",
	0x3a29: "Street", 0x3a2a: "ZIP", 0x3a2b: "Address", 0x3a2c: "Telex", 0x3a2d: "Phone", 0x3a2e: "Phone", 0x3a2f: "Phone", 0x3a30: "Assistant",
	0x3a41: "Anniversary", 0x3a42: "Birthday", 0x3a43: "Hobbies", 0x3a44: "MiddleName", 0x3a45: "Name", 0x3a46: "Profession",
	0x3a47: "Referred-By", 0x3a48: "Spouse", 0x3a49: "Network", 0x3a4a: "Customer-ID", 0x3a4b: "Phone", 0x3a4c: "FTP", 0x3a4e: "Manager",
	0x3a4f: "Nickname", 0x3a50: "Web", 0x3a51: "Web", 0x3a57: "Company", 0x3a58: "Children", 0x3a59: "City", 0x3a5a: "Country",
	0x3a5b: "ZIP", 0x3a5c: "State", 0x3a5d: "Street", 0x3a5e: "PO-Box", 0x3a5f: "City", 0x3a60: "Country", 0x3a61: "ZIP", 0x3a62: "State",
	0x3a63: "Street", 0x3a64: "PO-Box", 0x3703: "", 0x3704: "Attachment", 0x3707: "Attachment", 0x3708: "Attachment", 0x370d: "Attachment",
	0x370e: "", 0x3712: "", 0x3713: "Location", 0x3716: "", 0x3ff8: "Author", 0x3ffa: "Author", 0x4022: "", 0x4023: "", 0x4024: "", 0x4025: "",
	0x4030: "", 0x4031: "", 0x4038: "Author", 0x4039: "Author", 0x5902: "", 0x8000: "",
}
