package synth

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Seed is the seed of the fixtures: tests that need no seed of their own take
// this one, so that a number seen in a failure is the same everywhere.
const Seed = 20261101

// Source invents people. It is not safe for concurrent use.
type Source struct {
	rand *rand.Rand
	seen map[string]bool // numbers given out: no two patients of a Source share one
}

// New returns a Source that always tells the same story for the same seed.
func New(seed uint64) *Source {
	return &Source{rand: rand.New(rand.NewPCG(seed, 0x73746e6368)), seen: map[string]bool{}}
}

// Diagnosis is an ICD-10-CM code with words for it.
type Diagnosis struct {
	Code string // dotted, "E11.9"
	Text string
}

// Patient is one invented person in care.
type Patient struct {
	Given, Family string
	Born          time.Time // midnight UTC
	MRN           string    // the site's form: E and seven digits
	SSN           string    // "536-22-8145"; well-formed by SSA's rules
	MBI           string    // eleven characters without dashes
	Phone         string    // "(206) 555-0142"
	Street, Town  string
	State, ZIP    string
	Admitted      time.Time
	Discharged    time.Time
	Diagnoses     []Diagnosis // one to three, no two equal
	Physician     string
	NPI           string // the physician's
}

// Name returns the name as a letter writes it.
func (p Patient) Name() string { return p.Given + " " + p.Family }

// BareSSN returns the SSN as nine digits.
func (p Patient) BareSSN() string { return strings.ReplaceAll(p.SSN, "-", "") }

// DashedMBI returns the MBI as it stands on a Medicare card, 4-3-4.
func (p Patient) DashedMBI() string { return p.MBI[:4] + "-" + p.MBI[4:7] + "-" + p.MBI[7:] }

// Traces returns every string by which the patient could be known again: names,
// numbers with and without their marks, dates as documents write them, address
// and phone. A test that looks for leaks looks for each.
func (p Patient) Traces() []string {
	digits := strings.NewReplacer("(", "", ")", "", " ", "", "-", "")
	return []string{
		p.Given, p.Family, p.SSN, p.BareSSN(), p.MRN, p.MBI, p.DashedMBI(), p.Phone, digits.Replace(p.Phone),
		p.Street, usDate(p.Born), p.Born.Format(time.DateOnly),
	}
}

// Patients returns n patients.
func (s *Source) Patients(n int) []Patient {
	ps := make([]Patient, n)
	for i := range ps {
		ps[i] = s.Patient()
	}
	return ps
}

// Patient returns the next patient.
func (s *Source) Patient() Patient {
	admitted := date(2026, 1, 1).AddDate(0, 0, s.rand.IntN(270))
	return Patient{
		Given:      pick(s, givenNames()),
		Family:     pick(s, familyNames()),
		Born:       date(1935, 1, 1).AddDate(0, 0, s.rand.IntN(80*365)),
		MRN:        s.unique(s.mrn),
		SSN:        s.unique(s.ssn),
		MBI:        s.unique(s.mbi),
		Phone:      fmt.Sprintf("(%d) 555-01%02d", pick(s, []int{206, 253, 360, 425, 509}), s.rand.IntN(100)),
		Street:     fmt.Sprintf("%d %s", 100+s.rand.IntN(9800), pick(s, streets())),
		Town:       pick(s, towns()),
		State:      "WA",
		ZIP:        fmt.Sprintf("98%03d", s.rand.IntN(1000)),
		Admitted:   admitted,
		Discharged: admitted.AddDate(0, 0, 1+s.rand.IntN(9)),
		Diagnoses:  s.diagnoses(),
		Physician:  pick(s, physicians()),
		NPI:        s.unique(s.npi),
	}
}

// unique draws until it has a value this Source has not given out.
func (s *Source) unique(draw func() string) string {
	for {
		if v := draw(); !s.seen[v] {
			s.seen[v] = true
			return v
		}
	}
}

func (s *Source) mrn() string { return fmt.Sprintf("E%07d", 1_000_000+s.rand.IntN(9_000_000)) }

// ssn draws a well-formed number: area not 000, 666 or 900 to 999, group not
// 00, serial not 0000, no published specimen.
//
// Source: SSA, "Social Security Number Randomization" (2011).
func (s *Source) ssn() string {
	for {
		area := 1 + s.rand.IntN(899)
		v := fmt.Sprintf("%03d-%02d-%04d", area, 1+s.rand.IntN(99), 1+s.rand.IntN(9999))
		if area != 666 && v != "078-05-1120" && v != "219-09-9999" && v != "123-45-6789" {
			return v
		}
	}
}

// mbi draws a Medicare Beneficiary Identifier: C A AN N A AN N A A N N.
//
// Source: CMS, "Understanding the Medicare Beneficiary Identifier (MBI) Format".
func (s *Source) mbi() string {
	const letters = "ACDEFGHJKMNPQRTUVWXY" // CMS leaves out S L O I B Z
	const digits = "0123456789"
	var b strings.Builder
	for _, class := range "CAXNAXNAANN" {
		set := map[rune]string{'C': digits[1:], 'A': letters, 'N': digits, 'X': letters + digits}[class]
		b.WriteByte(set[s.rand.IntN(len(set))])
	}
	return b.String()
}

// npi draws ten digits, the last being the Luhn check digit of "80840" and the
// nine before it.
//
// Source: 45 CFR 162.406(a); ISO/IEC 7812-1 (check digit).
func (s *Source) npi() string {
	nine := fmt.Sprintf("1%08d", s.rand.IntN(100_000_000))
	sum := 0
	for i, c := range "80840" + nine {
		d := int(c - '0')
		if i%2 == 1 { // of fourteen digits, every second from the right is doubled, the rightmost first
			d *= 2
		}
		sum += d/10 + d%10
	}
	return fmt.Sprintf("%s%d", nine, (10-sum%10)%10)
}

func (s *Source) diagnoses() []Diagnosis {
	all := diagnoses()
	s.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+s.rand.IntN(3)]
}

func pick[T any](s *Source, from []T) T { return from[s.rand.IntN(len(from))] }

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// usDate writes a date as American clinics do, month first.
func usDate(t time.Time) string { return t.Format("01/02/2006") }

// The names are long and unlikely on purpose: a search of logs for one finds
// the patient or nothing.

func givenNames() []string {
	return []string{
		"Ottoline", "Barnabas", "Philomena", "Thaddeus", "Wilhelmina", "Ignatius", "Clementina", "Peregrine",
		"Araminta", "Leopold", "Henrietta", "Augustin", "Marigold", "Cornelius", "Seraphina", "Montgomery",
	}
}

func familyNames() []string {
	return []string{
		"Quillfeather", "Marrowbank", "Thistlewood", "Pemberstone", "Ravenhollow", "Applethwaite", "Winterbourne-Hale",
		"Oakenshaw", "Featherstill", "Brambleigh", "Copperfold", "Larkwhistle", "Stonemallow", "Hazelgrave", "Fennimarsh",
	}
}

func streets() []string {
	return []string{"Juniper Hollow Lane", "Cinderpath Road", "Old Tannery Street", "Wrenfield Avenue", "Saltmeadow Court"}
}

func towns() []string {
	return []string{"Fernhollow", "Port Alder", "Greywater", "Millbrook Falls", "Cedar Notch"}
}

func physicians() []string {
	return []string{"Dr. Imogen Vantongeren", "Dr. Rufus Allardyce-Boon", "Dr. Salome Kettlewright"}
}

func diagnoses() []Diagnosis {
	return []Diagnosis{
		{"E11.9", "Type 2 diabetes mellitus without complications"},
		{"I10", "Essential (primary) hypertension"},
		{"J45.909", "Unspecified asthma, uncomplicated"},
		{"E78.5", "Hyperlipidemia, unspecified"},
		{"M54.50", "Low back pain, unspecified"},
		{"N18.31", "Chronic kidney disease, stage 3a"},
		{"F41.1", "Generalized anxiety disorder"},
		{"K21.9", "Gastro-esophageal reflux disease without esophagitis"},
		{"I48.91", "Unspecified atrial fibrillation"},
		{"S72.001A", "Fracture of unspecified part of neck of right femur, initial encounter"},
	}
}
