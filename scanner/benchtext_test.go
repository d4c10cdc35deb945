package scanner_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/scanner/check"
)

var update = flag.Bool("update", false, "rewrite the texts of testdata/bench")

const (
	benchDir   = "../testdata/bench"
	benchBytes = 512 << 10 // of each text
)

// benchNames are the texts of testdata/bench.
var benchNames = []string{"prose", "csv", "hl7", "dense"}

func benchText(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(benchDir, name+".txt"))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// TestBenchTexts: the frozen texts are those that their makers below write.
func TestBenchTexts(t *testing.T) {
	makers := map[string]func(*rand.Rand, *bytes.Buffer){"prose": writeProse, "csv": writeRow, "hl7": writeSegments, "dense": writeDense}
	for i, name := range benchNames {
		var want bytes.Buffer
		if name == "csv" {
			want.WriteString("encounter,department,admitted,discharged,ward,bed,length_of_stay,charge,paid,balance,drg,weight,units,clerk,terminal\n")
		}
		r := rand.New(rand.NewPCG(uint64(i), 40))
		for want.Len() < benchBytes {
			makers[name](r, &want)
		}
		if *update {
			if err := os.WriteFile(filepath.Join(benchDir, name+".txt"), want.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := benchText(t, name); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s.txt differs from what is made now: figures can no longer be compared with earlier ones", name)
		}
	}
}

const proseWords = `the of and a to in is was for that with on as be by at from this had not are but have an they which you were her all she there
	would their we him been has when who will more no if out so said what up its about into than them can only other new some could
	time these two may then do first any my now such like our over man me even most made after also did many before must through
	years where much your way well down should because each just those people how too little state good very make world still own see
	men work long get here between both life being under never day same another know while last might us great old year off come since
	against go came right used take three meeting office report schedule training policy department members questions please agenda
	budget minutes attached reminder morning afternoon building parking cafeteria holiday project review colleagues support manager
	patient reports history denies pain chest shortness breath fever nausea vomiting examination reveals normal bilateral clear soft
	tender abdomen continue daily tablet dose blood pressure heart rate regular rhythm follow clinic weeks without evidence acute
	disease chronic mild moderate severe therapy assessment stable discharged home instructions family discussed improved physical
	laboratory values within limits oxygen saturation room air neurologic intact extremities edema skin warm dry plan return sooner
	worsening symptoms medication list reviewed allergies none known social tobacco alcohol occupation retired teacher married children`

// person is an invented one. internal/synth is not used: the texts are to stay
// as they are when it changes.
type person struct {
	given, family, mrn, ssn, mbi, npi, phone, email string
	born                                            time.Time
}

func inventPerson(r *rand.Rand) person {
	p := person{given: []string{"Ada", "Boris", "Carla", "Dmitri", "Elena", "Frank"}[r.IntN(6)], family: []string{"Ashdown", "Birkett", "Cobley", "Dunmore", "Ellwood"}[r.IntN(5)]}
	p.born = time.Date(1935, 1, 1+r.IntN(29_000), 0, 0, 0, 0, time.UTC)
	p.mrn = fmt.Sprintf("E%07d", 1_000_000+r.IntN(9_000_000))
	p.ssn = fmt.Sprintf("%03d-%02d-%04d", 100+r.IntN(500), 1+r.IntN(99), 1+r.IntN(9999))
	for _, class := range "CAXNAXNAANN" {
		set := map[rune]string{'C': "123456789", 'A': "ACDEFGHJKMNPQRTUVWXY", 'N': "0123456789", 'X': "ACDEFGHJKMNPQRTUVWXY0123456789"}[class]
		p.mbi += string(set[r.IntN(len(set))])
	}
	for p.npi = fmt.Sprintf("%d", 1_000_000_000+r.IntN(1_000_000_000)); !check.NPI(p.npi); {
		n, _ := strconv.Atoi(p.npi)
		p.npi = strconv.Itoa(n + 1)
	}
	p.phone = fmt.Sprintf("(%d) 555-01%02d", []int{206, 253, 360, 425, 509}[r.IntN(5)], r.IntN(100))
	p.email = strings.ToLower(p.given + "." + p.family + "@clinic.example")
	return p
}

// writeProse writes a sentence of an office or a ward, now and then with a
// number in it, once in a long while with a date or a telephone number.
func writeProse(r *rand.Rand, b *bytes.Buffer) {
	words := strings.Fields(proseWords)
	n := 6 + r.IntN(16)
	for i := range n {
		w := words[min(r.IntN(len(words)), r.IntN(len(words)))]
		if i == 0 {
			w = strings.ToUpper(w[:1]) + w[1:]
		}
		b.WriteString(w)
		switch r.IntN(60) {
		case 0:
			fmt.Fprintf(b, " %d mg", 5*(1+r.IntN(100)))
		case 1:
			fmt.Fprintf(b, " %d", 1+r.IntN(99))
		case 2:
			b.WriteByte(',')
		case 3:
			fmt.Fprintf(b, " (%s)", words[r.IntN(len(words))])
		case 4:
			if r.IntN(6) == 0 {
				fmt.Fprintf(b, " on %s %d, %d", []string{"January", "March", "June", "October"}[r.IntN(4)], 1+r.IntN(28), 2015+r.IntN(10))
			}
		case 5:
			if r.IntN(20) == 0 {
				fmt.Fprintf(b, " at 555-01%02d", r.IntN(100))
			}
		}
		if i < n-1 {
			b.WriteByte(" \n"[min(1, r.IntN(13)/12)])
		}
	}
	b.WriteString([]string{". ", ". ", ". ", "? ", ".\n\n"}[r.IntN(5)])
}

// writeRow writes a row of a hospital's statistics: numbers and dates, nobody's.
func writeRow(r *rand.Rand, b *bytes.Buffer) {
	dept := []string{"Cardiology", "Surgery", "Oncology", "Pediatrics", "Emergency"}[r.IntN(5)]
	y, m, d, stay := 2015+r.IntN(10), 1+r.IntN(12), 1+r.IntN(20), r.IntN(8)
	charge, paid := r.IntN(4_000_000), r.IntN(2_000_000)
	fmt.Fprintf(b, "%d,%s,%d-%02d-%02d,%d-%02d-%02d,W%d,%d,%d,%d.%02d,%d.%02d,%d.%02d,%d,%.4f,%d,u%04d,T%d\n", 100_000+r.IntN(900_000), dept, y, m, d, y, m, d+stay,
		1+r.IntN(30), 1+r.IntN(40), stay, charge/100, charge%100, paid/100, paid%100, (charge-paid)/100, (charge-paid+5_000_000)%100, 1+r.IntN(999), r.Float64()*4, r.IntN(60), r.IntN(9000), r.IntN(400))
}

// writeSegments writes a result message of HL7 v2.
func writeSegments(r *rand.Rand, b *bytes.Buffer) {
	p := inventPerson(r)
	at := fmt.Sprintf("%d%02d%02d%02d%02d%02d", 2015+r.IntN(10), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	fmt.Fprintf(b, "MSH|^~\\&|LAB|CLINIC|EHR|CLINIC|%s||ORU^R01|%08d|P|2.5.1\r", at, r.IntN(100_000_000))
	fmt.Fprintf(b, "PID|1||%s^^^CLINIC^MR||%s^%s||%s|F|||12 Elm St^^Dayton^OH^45402||%s|||S||%s\r", p.mrn, p.family, p.given, p.born.Format("20060102"), p.phone, strings.ReplaceAll(p.ssn, "-", ""))
	fmt.Fprintf(b, "PV1|1|O|W%d^%d^A||||%s^ROE^A|||||||||||%d|||||||||||||||||||||||||%s\rOBR|1|%d|%d|24323-8^COMPREHENSIVE METABOLIC^LN|||%s\r", 1+r.IntN(30), 100+r.IntN(400), p.npi,
		1_000_000+r.IntN(9_000_000), at, r.IntN(1_000_000), r.IntN(1_000_000), at)
	for i := range 6 + r.IntN(8) {
		code := []string{"2345-7^GLUCOSE", "3094-0^BUN", "2160-0^CREATININE", "2951-2^SODIUM", "2823-3^POTASSIUM", "17861-6^CALCIUM"}[r.IntN(6)]
		fmt.Fprintf(b, "OBX|%d|NM|%s^LN||%d.%d|mg/dL|%d-%d|N|||F|||%s\r", i+1, code, r.IntN(200), r.IntN(10), 10+r.IntN(50), 90+r.IntN(100), at)
	}
}

// writeDense writes a line in which every other word is somebody's.
func writeDense(r *rand.Rand, b *bytes.Buffer) {
	p := inventPerson(r)
	switch r.IntN(4) {
	case 0:
		fmt.Fprintf(b, "Patient %s, DOB: %s, SSN: %s, MRN: %s, phone %s, %s\n", p.given+" "+p.family, p.born.Format("01/02/2006"), p.ssn, p.mrn, p.phone, p.email)
	case 1:
		fmt.Fprintf(b, "%s (born %s) insured under Medicare %s; claims to NPI %s, reply to %s\n", p.given+" "+p.family, p.born.Format("2006-01-02"), p.mbi[:4]+"-"+p.mbi[4:7]+"-"+p.mbi[7:], p.npi, p.email)
	case 2:
		fmt.Fprintf(b, "ssn %s chart no %d dx E11.9, I10, M54.5 seen %s, tel %s fax 555-01%02d\n", strings.ReplaceAll(p.ssn, "-", ""), 1_000_000+r.IntN(9_000_000), p.born.AddDate(40, 0, 0).Format("January 2, 2006"), p.phone, r.IntN(100))
	case 3:
		fmt.Fprintf(b, "%s, %s, %s, %s, %s, 10.%d.%d.%d, https://portal.clinic.example/p/%d\n", p.mrn, p.ssn, p.mbi, p.phone, p.email, r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(100_000))
	}
}
