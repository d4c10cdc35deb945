package formats_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// meanings lists what the typed spans of a part cut out of its text.
func (a *answer) meanings(path string) (s []string) {
	for _, sp := range a.spans[path] {
		if sp.Type != "" && sp.Type != dlp.Definition {
			s = append(s, fmt.Sprintf("%s=%s@%d", sp.Type, a.texts[path][sp.Start:sp.End], sp.Group))
		}
	}
	return s
}

// definitions lists the fields of a part that name systems, profiles and name spaces.
func (a *answer) definitions(path string) (s []string) {
	for _, sp := range a.spans[path] {
		if sp.Type == dlp.Definition {
			s = append(s, sp.Label+"="+a.texts[path][sp.Start:sp.End])
		}
	}
	return s
}

// TestDefinitions: the addresses by which FHIR and XML name systems, profiles,
// extensions and name spaces are told from those of anybody.
func TestDefinitions(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"FHIR", `{"resourceType":"Patient","meta":{"profile":["http://a.example/profile"],"source":"http://a.example/source"},"extension":[{"url":"http://a.example/race","extension":[{"url":"omb","valueUrl":"http://a.example/value"}]}],` +
			`"modifierExtension":[{"url":"http://a.example/not"}],"identifier":[{"system":"http://a.example/mrn","value":"http://a.example/4482913"}],"telecom":[{"system":"url","value":"https://janeroe.example"}],"photo":[{"url":"https://a.example/p/1.png"}]}`,
			[]string{"profile=http://a.example/profile", "url=http://a.example/race", "url=omb", "url=http://a.example/not", "system=http://a.example/mrn", "system=url"}},
		{"JSON of no FHIR", `{"meta":{"profile":"http://a.example/profile"},"extension":{"url":"http://a.example/race"},"system":"http://a.example/mrn"}`, nil},
		{"FHIR in XML", `<Patient xmlns="http://hl7.org/fhir" xmlns:xsi = 'http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation="http://hl7.org/fhir http://a.example/x.xsd" id="a"><meta><profile value="http://a.example/profile"/></meta>` +
			`<extension url="http://a.example/race"><valueUrl value="http://a.example/value"/></extension><identifier><system value="http://a.example/mrn"/><value value="4482913"/></identifier><photo><url value="https://a.example/p/1.png"/></photo></Patient>`,
			[]string{"xmlns=http://hl7.org/fhir", "xmlns:xsi=http://www.w3.org/2001/XMLSchema-instance", "xsi:schemaLocation=http://hl7.org/fhir http://a.example/x.xsd", "profile=http://a.example/profile", "url=http://a.example/race", "system=http://a.example/mrn"}},
		{"C-CDA", `<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc"><x a=b xmlns="urn:lost"/><recordTarget/></ClinicalDocument>`, []string{"xmlns=urn:hl7-org:v3", "xmlns:sdtc=urn:hl7-org:sdtc"}},
	} {
		if got := serve(t, false, limits, []byte(tt.in)).definitions(""); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

const (
	hl7Message = "MSH|^~\\&|A|B|C|D|20260301||ADT^A01|1|P|2.5\r" +
		"PID|1||E1234567^^^CLINIC^MR~536228145^^^SSA^SS~99^^^X^ZZ||ROE^JANE||19610304|F|||100 Low Street^^Dayton^OH^45402||^PRN^PH^a@x.example^^937^5550142|||||8812345^^^^AN|536-22-8145|F162823540116^OH\r" +
		"PV1|1|I|||||1234567893^HOUSE^G^^^^^^^^^^NPI\rIN1|1|||||||||||||||||19610304||||||||||||||||||POL-77\rDG1|1||E11.9^Diabetes^I10\r" +
		"PID|2||E7654321||DOE^JOHN\r"
	x12Message = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *260301*1200*^*00501*000000001*0*P*:~\nGS*HC*A*B*20260301*1200*1*X*005010X222A1~\n" +
		"ST*837*0001~\nHL*1**22*0~\nNM1*IL*1*ROE*JANE****MI*W123456789~\nN3*100 LOW STREET~\nN4*DAYTON*OH*45402~\nDMG*D8*19610304*F~\nREF*SY*536228145~\nPER*IC*X*TE*9375550142~\n" +
		"CLM*ACC77*100~\nHI*ABK:E119*ABF:I10~\nHL*2*1*23*0~\nNM1*QC*1*DOE*JOHN~\nREF*EA*E7654321~\n"
	cdaDocument = `<?xml version="1.0"?><!-- a > b --><ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole>` +
		`<id root="1.2.3" extension="E1234567"/><id root="2.16.840.1.113883.4.1" extension="536-22-8145"/><addr><streetAddressLine>100 Low Street</streetAddressLine><postalCode> 45402 </postalCode></addr>` +
		`<telecom value="tel:937-555-0142" use="HP"/><telecom value="mailto:a@x.example"/><patient><birthTime value="19610304"/></patient><providerOrganization><id root="1.2.4" extension="77"/>` +
		`<id root='2.16.840.1.113883.4.6' extension = '1234567893' /></providerOrganization></patientRole></recordTarget></ClinicalDocument>`
)

const fhirBundle = `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"urn:oid:1.2.3","value":"E1234567"},` +
	`{"system":"http://hl7.org/fhir/sid/us-ssn","value":"536-22-8145"},{"value":"77812","system":"urn:x"},{"type":{"coding":[{"code":"XX"}]},"value":"99"}],"name":[{"family":"Roe","given":["Jane"]}],"birthDate":"1961-03-04","telecom":[{"system":"phone","value":"937-555-0142"},{"value":"a@x.example","system":"email"}],` +
	`"address":[{"line":["100 Low Street"],"postalCode":"45402"}]}},{"resource":{"resourceType":"Practitioner","identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1234567893"},{"value":"5"}]}},` +
	`{"resource":{"resourceType":"Condition","code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"E11.9"},{"code":"73211009","system":"http://snomed.info/sct"}]}}}]}`

// fhirXML says in XML what fhirBundle says in JSON, with a narrative, a resource
// within a resource, and other quotes.
const fhirXML = `<?xml version="1.0"?><!-- <Patient> --><Bundle xmlns="http://hl7.org/fhir"><entry><resource><Patient><text><div xmlns="http://www.w3.org/1999/xhtml"><b>Jane</b> &amp; co</div></text>` +
	`<contained><Organization><identifier><value value="441"/></identifier></Organization></contained>` +
	`<identifier><type><coding><system value="http://terminology.hl7.org/CodeSystem/v2-0203"/><code value='MR'/></coding></type><system value="urn:oid:1.2.3"/><value value="E1234567"/></identifier>` +
	`<identifier><system value = "http://hl7.org/fhir/sid/us-ssn" ></system><value value="536-22-8145"/></identifier><identifier><value value="77812"/><system value="urn:x>y"/></identifier><identifier><type><coding><code value="XX"/></coding></type><value value="99"/></identifier>` +
	`<name><family value="Roe"/><given value="Jane"/></name><telecom><system value="phone"/><value value="937-555-0142"/></telecom><telecom><value value="a@x.example"/><system value="email"/></telecom>` +
	`<birthDate value="1961-03-04"/><address><line value="100 Low Street"/><postalCode value="45402"/></address></Patient></resource></entry>` +
	`<entry><resource><Practitioner><identifier><system value="http://hl7.org/fhir/sid/us-npi"/><value value="1234567893"/></identifier><identifier><value value="5"/></identifier><name><family value="House"/></name></Practitioner></resource></entry>` +
	`<entry><resource><Condition><code><coding><system value="http://hl7.org/fhir/sid/icd-10-cm"/><code value="E11.9"/></coding><coding><code value="73211009"/><system value="http://snomed.info/sct"/></coding></code></Condition></resource></entry></Bundle>`

// A prescription as SCRIPT 2017071 has it, and the patient of one of 10.6.
const (
	scriptMessage = `<?xml version="1.0"?><Message xmlns="http://www.ncpdp.org/schema/SCRIPT" DatatypesVersion="20170715"><Header><To Qualifier="P">7701630</To></Header><Body><NewRx>` +
		`<BenefitsCoordination><PayerIdentification><ProcessorIdentificationNumber>610279</ProcessorIdentificationNumber></PayerIdentification><CardholderID>W123456789</CardholderID></BenefitsCoordination>` +
		`<Patient><HumanPatient><Identification><SocialSecurity>536-22-8145</SocialSecurity><MedicalRecordIdentificationNumberEHR>` + "\n\t" + ` E1234567 </MedicalRecordIdentificationNumberEHR></Identification>` +
		`<Name><LastName>Roe</LastName><FirstName>Jane</FirstName></Name><DateOfBirth><Date>1961-03-04</Date></DateOfBirth><Address><AddressLine1>100 Low Street</AddressLine1><PostalCode>45402</PostalCode></Address>` +
		`<CommunicationNumbers><PrimaryTelephone><Number>9375550142</Number></PrimaryTelephone><ElectronicMail>a@x.example</ElectronicMail></CommunicationNumbers></HumanPatient></Patient>` +
		`<Prescriber><NonVeterinarian><Identification><DEANumber>BH1234563</DEANumber><NPI>1234567893</NPI></Identification><Name><LastName>House</LastName></Name></NonVeterinarian></Prescriber>` +
		`<MedicationPrescribed><DrugCoded><ProductCode><Code>00310075590</Code><Qualifier>ND</Qualifier></ProductCode></DrugCoded><Quantity><Value>30</Value></Quantity>` +
		`<Diagnosis><Primary><Code>E119</Code><Qualifier>ABF</Qualifier></Primary></Diagnosis></MedicationPrescribed></NewRx></Body></Message>`
	oldScriptMessage = `<Message release="006" version="010" xmlns="http://www.ncpdp.org/schema/SCRIPT"><Body><NewRx><Patient><Identification><FileID>E1234567</FileID></Identification>` +
		`<Address><ZipCode>45402</ZipCode></Address><CommunicationNumbers><Communication><Number>9375550142</Number><Qualifier>TE</Qualifier></Communication></CommunicationNumbers></Patient></NewRx></Body></Message>`
)

// TestSeparatorsOfX12: control characters part the pieces of an interchange as well
// as signs do.
func TestSeparatorsOfX12(t *testing.T) {
	for _, by := range []string{"*:~", "\x1d:\x1e", "*\x1f\x1c", "|>\x07"} {
		in := strings.NewReplacer("*", by[:1], ":", by[1:2], "~", by[2:]).Replace(strings.ReplaceAll(x12Message, "\n", "") + "REF*0F*W1234567~")
		a := serve(t, false, limits, []byte(in))
		if got := a.meanings(""); !slices.Contains(got, "SSN=536228145@2") || !slices.Contains(got, "HEALTH_PLAN_ID=W1234567@3") {
			t.Errorf("%q: got %q", by, got)
		}
	}
}

// TestFieldsOfLongXML: a value past every bound, or none that ends, is text all
// the same, and what stands behind it is marked.
func TestFieldsOfLongXML(t *testing.T) {
	const patient = `<identifier><value value="E1234567"/></identifier>`
	for name, in := range map[string]string{
		"a long value":    `<Patient xmlns="http://hl7.org/fhir"><photo><data value="` + strings.Repeat("QUJD", 100<<10) + `"/></photo>` + patient + `</Patient>`,
		"a long text":     `<Patient xmlns="http://hl7.org/fhir"><text><div>` + strings.Repeat("word ", 100<<10) + `</div></text>` + patient + `</Patient>`,
		"a long comment":  `<Patient xmlns="http://hl7.org/fhir"><!--` + strings.Repeat("<a>", 100<<10) + `-->` + patient + `</Patient>`,
		"many extensions": `<Patient xmlns="http://hl7.org/fhir">` + strings.Repeat(`<extension url="u"><valueString value="x"/></extension>`, 9000) + patient + `</Patient>`,
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(in))
			if a.texts[""] != in {
				t.Errorf("%d bytes, want %d as they were", len(a.texts[""]), len(in))
			}
			if got, want := a.meanings(""), []string{"MRN=E1234567@1"}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestSystemsOfIdentifiers: what a system or a root is registered for, an identifier
// is, whoever it stands with; of another under theirs nothing is said.
func TestSystemsOfIdentifiers(t *testing.T) {
	systems := []struct{ system, typ string }{
		{"urn:oid:2.16.840.1.113883.4.814", "DEA"}, {"urn:oid:2.16.840.1.113883.4.3.36", "DRIVER_LICENSE"}, {"urn:oid:2.16.840.1.113883.4.1", "SSN"},
		{"urn:oid:2.16.840.1.113883.4.6", "NPI"}, {"urn:oid:2.16.840.1.113883.4.927", "MBI"}, {"urn:oid:2.16.840.1.113883.2.1.4.1", "NATIONAL_ID"},
		{"https://fhir.nhs.uk/Id/nhs-number", "NATIONAL_ID"}, {"http://hl7.org/fhir/sid/passport-USA", "PASSPORT"},
		{"urn:oid:2.16.840.1.113883.4.3", "MRN"}, {"urn:oid:2.16.840.1.113883.4.3.x", "MRN"}, {"urn:oid:2.16.840.1.113883.4.8140", "MRN"},
	}
	var inJSON, inXML, inCDA strings.Builder
	var want, wantCDA []string
	for i, s := range systems {
		value := strconv.Itoa(100000001 + i)
		fmt.Fprintf(&inJSON, `,{"system":%q,"value":%q}`, s.system, value)
		fmt.Fprintf(&inXML, `<identifier><system value=%q/><value value=%q/></identifier>`, s.system, value)
		want = append(want, s.typ+"="+value+"@1")
		if oid, ok := strings.CutPrefix(s.system, "urn:oid:"); ok {
			fmt.Fprintf(&inCDA, `<id root=%q extension=%q/>`, oid, value)
			wantCDA = append(wantCDA, s.typ+"="+value+"@1")
		}
	}
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"FHIR in JSON", `{"resourceType":"Patient","identifier":[` + inJSON.String()[1:] + `]}`, want},
		{"FHIR in XML", `<Patient xmlns="http://hl7.org/fhir">` + inXML.String() + `</Patient>`, want},
		{"CDA", `<ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole>` + inCDA.String() + `</patientRole></recordTarget></ClinicalDocument>`, wantCDA},
	} {
		if got := serve(t, false, limits, []byte(tt.in)).meanings(""); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestFieldsOfJSON: every value goes with its key and the object it stands in;
// escapes, depth and length do not confuse it.
func TestFieldsOfJSON(t *testing.T) {
	deep := strings.Repeat(`[`, 100) + `{"ssn":"1"}` + strings.Repeat(`]`, 100)
	long := `{"note":"` + strings.Repeat(`x \" { `, 40<<10) + `","ssn":536228145}`
	tests := []struct {
		name, in string
		want     []string
	}{
		{"an array of objects", `[{"ssn":536228145,"n":"a\"b"},{"patientSSN" : "536-22-8146", "x":[1,true,{"y":-2.5}]}]`,
			[]string{"ssn=536228145@1", `n=a\"b@1`, "patientSSN=536-22-8146@2", "x=1@2", "y=-2.5@2"}},
		{"a line each", "{\"ssn\":\"1\"}\n{\"ssn\":\"2\"}\n", []string{"ssn=1@1", "ssn=2@2"}},
		{"deep", `{"a":` + deep + `,"b":"c"}`, []string{"b=c@1"}},
		{"a long string", long, []string{"ssn=536228145@1"}},
		{"cut short", `{"ssn":"536`, nil},
		{"cut in a number", `{"ssn":536`, []string{"ssn=536@1"}},
		{"what is no JSON", `{"a":}],"b" "c",:{"d":1`, []string{"=b@1", "=c@1", "d=1@2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(tt.in))
			if a.texts[""] != tt.in {
				t.Errorf("text %.80q, want it as it was", a.texts[""])
			}
			if got := a.fieldsOf(""); !slices.Equal(got, tt.want) {
				t.Errorf("got  %.300q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestFieldsOfHealthFormats: what HL7 v2, X12 and C-CDA say of a field goes
// with the text, which stays as it is, and each patient is a group.
func TestFieldsOfHealthFormats(t *testing.T) {
	upToN3, _, _ := strings.Cut(x12Message, "N3*")
	upToBirth, _, _ := strings.Cut(strings.TrimPrefix(fhirXML, `<?xml version="1.0"?>`), "<birthDate")
	tests := []struct {
		name, in, media string
		want            []string
	}{
		{"hl7", hl7Message, "x-application/hl7-v2+er7", []string{
			"MRN=E1234567@2", "SSN=536228145@2", "NAME=ROE@2", "DOB=19610304@2", "ADDRESS=100 Low Street@2", "ZIP=45402@2", "EMAIL=a@x.example@2", "PHONE=5550142@2", "ACCOUNT=8812345@2",
			"SSN=536-22-8145@2", "DRIVER_LICENSE=F162823540116@2", "NPI=1234567893@2", "DOB=19610304@2", "HEALTH_PLAN_ID=POL-77@2", "ICD10=E11.9@2", "MRN=E7654321@3", "NAME=DOE@3",
		}},
		{"hl7 with separators of its own", strings.NewReplacer("|", "#", "^", "!", "~", "%").Replace(hl7Message), "x-application/hl7-v2+er7", []string{
			"MRN=E1234567@2", "SSN=536228145@2", "NAME=ROE@2", "DOB=19610304@2", "ADDRESS=100 Low Street@2", "ZIP=45402@2", "EMAIL=a@x.example@2", "PHONE=5550142@2", "ACCOUNT=8812345@2",
			"SSN=536-22-8145@2", "DRIVER_LICENSE=F162823540116@2", "NPI=1234567893@2", "DOB=19610304@2", "HEALTH_PLAN_ID=POL-77@2", "ICD10=E11.9@2", "MRN=E7654321@3", "NAME=DOE@3",
		}},
		{"hl7 in MLLP, without a last end", "\vMSH|^~\\&|A\rPID|||E1234567", "x-application/hl7-v2+er7", []string{"MRN=E1234567@2"}},
		{"x12", x12Message, "application/edi-x12", []string{
			"NAME=ROE@2", "NAME=JANE@2", "HEALTH_PLAN_ID=W123456789@2", "ADDRESS=100 LOW STREET@2", "ZIP=45402@2", "DOB=19610304@2", "SSN=536228145@2", "PHONE=9375550142@2", "ACCOUNT=ACC77@2",
			"ICD10=E119@2", "ICD10=I10@2", "NAME=DOE@3", "NAME=JOHN@3", "MRN=E7654321@3",
		}},
		{"x12 with a header one byte short", strings.Replace(upToN3, "RECEIVER       ", "RECEIVER      ", 1), "application/edi-x12", []string{"NAME=ROE@2", "NAME=JANE@2", "HEALTH_PLAN_ID=W123456789@2"}},
		{"fhir", fhirBundle, "application/json", []string{
			"MRN=E1234567@2", "SSN=536-22-8145@2", "MRN=77812@2", "NAME=Roe@2", "NAME=Jane@2", "DOB=1961-03-04@2", "PHONE=937-555-0142@2", "EMAIL=a@x.example@2", "ADDRESS=100 Low Street@2", "ZIP=45402@2",
			"NPI=1234567893@3", "ICD10=E11.9@4", "SNOMED=73211009@4",
		}},
		{"fhir in xml", fhirXML, "application/xml", []string{
			"MRN=E1234567@2", "SSN=536-22-8145@2", "MRN=77812@2", "NAME=Roe@2", "NAME=Jane@2", "PHONE=937-555-0142@2", "EMAIL=a@x.example@2", "DOB=1961-03-04@2", "ADDRESS=100 Low Street@2", "ZIP=45402@2",
			"NPI=1234567893@4", "ICD10=E11.9@5", "SNOMED=73211009@5",
		}},
		{"fhir in xml without a declaration", upToBirth, "application/xml", []string{
			"MRN=E1234567@2", "SSN=536-22-8145@2", "MRN=77812@2", "NAME=Roe@2", "NAME=Jane@2", "PHONE=937-555-0142@2", "EMAIL=a@x.example@2",
		}},
		{"fhir, a coverage", `{"resourceType":"Coverage","subscriberId":"W123456789","dependent":"01"}`, "application/json", []string{"HEALTH_PLAN_ID=W123456789@1"}},
		{"fhir, a coverage of R5", `{"resourceType":"Coverage","subscriberId":[{"system":"urn:x","value":"W123456789"}]}`, "application/json", []string{"HEALTH_PLAN_ID=W123456789@1"}},
		{"fhir, a coverage in xml", `<Coverage xmlns="http://hl7.org/fhir"><subscriberId value="W123456789"/></Coverage>`, "application/xml", []string{"HEALTH_PLAN_ID=W123456789@1"}},
		{"fhir, a coverage of R5 in xml", `<Coverage xmlns="http://hl7.org/fhir"><subscriberId><value value="W123456789"/></subscriberId></Coverage>`, "application/xml", []string{"HEALTH_PLAN_ID=W123456789@1"}},
		{"script", scriptMessage, "application/xml", []string{
			"HEALTH_PLAN_ID=W123456789@1", "SSN=536-22-8145@1", "MRN=E1234567@1", "NAME=Roe@1", "NAME=Jane@1", "DOB=1961-03-04@1", "ADDRESS=100 Low Street@1", "ZIP=45402@1", "PHONE=9375550142@1",
			"EMAIL=a@x.example@1", "DEA=BH1234563@1", "NPI=1234567893@1", "NDC=00310075590@1", "ICD10=E119@1",
		}},
		{"script 10.6, two messages", oldScriptMessage + oldScriptMessage, "application/xml", []string{
			"MRN=E1234567@1", "ZIP=45402@1", "PHONE=9375550142@1", "MRN=E1234567@2", "ZIP=45402@2", "PHONE=9375550142@2",
		}},
		{"c-cda", cdaDocument, "application/xml", []string{
			"MRN=E1234567@1", "SSN=536-22-8145@1", "ADDRESS=100 Low Street@1", "ZIP=45402@1", "PHONE=937-555-0142@1", "DOB=19610304@1", "NPI=1234567893@1",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(tt.in))
			if a.texts[""] != tt.in || a.parts[""].MediaType != tt.media {
				t.Errorf("text of type %s: %q, want it as it was, of type %s", a.parts[""].MediaType, a.texts[""], tt.media)
			}
			if got := a.meanings(""); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestFieldsOfLongSegments: a segment past every bound is text all the same,
// and the ones behind it are marked.
func TestFieldsOfLongSegments(t *testing.T) {
	in := "MSH|^~\\&|A\rOBX|1|" + strings.Repeat("x|", 200<<10) + "\rPID|||E1234567\r"
	a := serve(t, false, limits, []byte(in))
	if a.texts[""] != in {
		t.Errorf("%d bytes, want %d as they were", len(a.texts[""]), len(in))
	}
	if got, want := a.meanings(""), []string{"MRN=E1234567@2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestFHIRTypeInWords: where no system and no code says what a patient's identifier
// is, the words of its type do, in JSON and in XML.
func TestFHIRTypeInWords(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"SSN", "SSN"}, {"Social Security Number", "SSN"}, {"S.S.N.", "SSN"}, {"Medical record number", "MRN"}, {"Member ID", "HEALTH_PLAN_ID"},
		{"Medicare Beneficiary Identifier (MBI)", "MBI"}, {"Driver's license", "DRIVER_LICENSE"}, {"Passport", "PASSPORT"}, {"Visit number", ""}, {"Number of our own", "MRN"}, {"", "MRN"},
	} {
		want := []string(nil)
		if c.want != "" {
			want = []string{c.want + "=536228145@1"}
		}
		for _, in := range []string{
			`{"resourceType":"Patient","identifier":[{"type":{"text":"` + c.text + `"},"value":"536228145"}]}`,
			`{"resourceType":"Patient","identifier":[{"value":"536228145","system":"urn:x","type":{"coding":[{"display":"` + c.text + `"}]}}]}`,
			`<Patient xmlns="http://hl7.org/fhir"><identifier><type><text value="` + c.text + `"/></type><value value="536228145"/></identifier></Patient>`,
			`<Patient xmlns="http://hl7.org/fhir"><identifier><type><coding><display value="` + c.text + `"/></coding></type><value value="536228145"/></identifier></Patient>`,
		} {
			got := serve(t, false, limits, []byte(in)).meanings("")
			if !slices.Equal(got, want) {
				t.Errorf("%q: got %q, want %q", in, got, want)
			}
		}
	}
}

// FuzzFields: whatever is read as a health format keeps its text, and its spans
// stand in order inside it (which decoding a window holds).
func FuzzFields(f *testing.F) {
	for _, s := range []string{hl7Message, x12Message, cdaDocument, "MSH|^~\\&\rPID", "ISA*", "<ClinicalDocument urn:hl7-org:v3<id ><!-->", "MSH||||\rPID|||\r", fhirBundle, `{"a":[{"value":1,"system":"phone"},"\\`, fhirXML, scriptMessage, `<Patient xmlns="http://hl7.org/fhir"></a><identifier><value value='`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		a := serve(t, false, limits, []byte(in))
		media := a.parts[""].MediaType
		plain := !strings.ContainsFunc(in, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\n' && r != '\r' })
		if plain && (strings.Contains(media, "hl7") || strings.Contains(media, "x12") || strings.Contains(media, "json")) && a.texts[""] != in {
			t.Errorf("text of type %s changed", media)
		}
	})
}

// TestOddSeparatorsOfLongMessages: a message that is too long to be held by itself is
// read with the usual separators as well, one past what may be held has a gap, and so
// has one in which a later header declares them.
func TestOddSeparatorsOfLongMessages(t *testing.T) {
	const odd = "MSH$%~\\&$A$B$C$D$20260301$$ADT%A01$1$P$2.5\rPID$1$$4482913%%%CLINIC%MR$$ROE%JANE$$19610304\r"
	const note = "NTE|1||a note of the ward\r"
	long := strings.Repeat(strings.ReplaceAll(note, "|", "$"), 2<<20/len(note))
	small := limits
	small.Memory = 2 << 20
	x12 := strings.ReplaceAll(x12Message, "*", "+") + strings.Repeat("NTE+ADD+a note of the ward~\n", 2<<20/28)
	for _, tt := range []struct {
		name, in string
		lim      wire.Limits
		again    string // a meaning in the further reading
		gap      bool
	}{
		{"HL7", odd + long, limits, "MRN=4482913@2", false},
		{"X12", x12, limits, "SSN=536228145@2", false},
		{"HL7, more than may be held", odd + long, small, "", true},
		{"X12, more than may be held", x12, small, "", true},
		{"HL7, a later message", hl7Message + strings.Repeat(note, 2<<20/len(note)) + odd, limits, "", true},
		{"HL7 as it comes", hl7Message + strings.Repeat(note, 2<<20/len(note)), limits, "", false},
	} {
		a := serve(t, false, tt.lim, []byte(tt.in))
		if a.texts[""] != tt.in {
			t.Errorf("%s: the text is not as it was", tt.name)
		}
		if got := a.meanings("~2"); tt.again == "" && len(got) > 0 || tt.again != "" && !slices.Contains(got, tt.again) {
			t.Errorf("%s: got %q, want %q among them", tt.name, got, tt.again)
		}
		got := slices.ContainsFunc(a.gaps, func(g dlp.Gap) bool { return g.Cause == dlp.Ambiguous && g.Detail == "separators" })
		if got != tt.gap || len(a.gaps) > 1 {
			t.Errorf("%s: gaps %v, want one of separators: %t", tt.name, a.gaps, tt.gap)
		}
	}
}

// TestOddSeparatorsInWideText: what the usual separators stand for is the text, not
// its bytes.
func TestOddSeparatorsInWideText(t *testing.T) {
	const in = "MSH$%~\\&$A$B$C$D$20260301$$ADT%A01$1$P$2.5\rPID$1$$4482913%%%CLINIC%MR$$ROE%JANE$$19610304\r"
	wide := []byte("\xff\xfe")
	for _, c := range []byte(in) {
		wide = append(wide, c, 0)
	}
	if got := serve(t, false, limits, wide).meanings("~2"); !slices.Contains(got, "MRN=4482913@2") {
		t.Errorf("got %q, want the record number among them", got)
	}
}

// TestOddSeparators: a message whose separators make amounts or paths of its numbers
// is read with the usual ones, too; what has others is read once.
func TestOddSeparators(t *testing.T) {
	exchange := strings.NewReplacer
	for _, tt := range []struct {
		name, in string
		want     []string // in the further reading; nil for none
		text     string   // a part of it
	}{
		{"HL7 as it comes", hl7Message, nil, ""},
		{"HL7 with other harmless signs", exchange("|", "#", "^", "!").Replace(hl7Message), nil, ""},
		{"HL7 with dollars and per cents", "MSH$%~\\&$A$B$C$D$20260301$$ADT%A01$1$P$2.5\rPID$1$$4482913%%%CLINIC%MR$$ROE%JANE$$19610304$F$$$1|2 Low St%%Dayton%OH%45402$$$$$$$$536228145\r",
			[]string{"MRN=4482913@2", "NAME=ROE@2", "DOB=19610304@2", "ADDRESS=1 2 Low St@2", "ZIP=45402@2", "SSN=536228145@2"}, `MSH|^~\&|A|B|`},
		{"the second message of two", hl7Message + "MSH/-~\\&/A/B/C/D/20260301//ADT-A01/1/P/2.5\rPID/1//4482913---CLINIC-MR\r",
			[]string{"MRN=E1234567@2", "SSN=536228145@2", "NAME=ROE@2", "DOB=19610304@2", "ADDRESS=100 Low Street@2", "ZIP=45402@2", "EMAIL=a@x.example@2", "PHONE=5550142@2", "ACCOUNT=8812345@2", "SSN=536-22-8145@2", "DRIVER_LICENSE=F162823540116@2",
				"NPI=1234567893@2", "DOB=19610304@2", "HEALTH_PLAN_ID=POL-77@2", "ICD10=E11.9@2", "MRN=E7654321@3", "NAME=DOE@3", "MRN=4482913@5"}, `PID|1||4482913^^^CLINIC^MR`},
		{"X12 as it comes", x12Message, nil, ""},
		{"X12 with pluses", exchange("*", "+").Replace(x12Message), nil, "REF*SY*536228145~"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(tt.in))
			if a.texts[""] != tt.in {
				t.Errorf("text %.80q, want it as it was", a.texts[""])
			}
			again, read := a.texts["~2"]
			if read != (tt.text != "") || !strings.Contains(again, tt.text) {
				t.Errorf("read again %t: %q, want %q in it", read, again, tt.text)
			}
			if got := a.meanings("~2"); tt.want != nil && !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
