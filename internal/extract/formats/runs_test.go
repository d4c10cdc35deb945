package formats_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/formats"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// folded writes s in lines of n letters.
func folded(s, end string, n int) string {
	var out []string
	for len(s) > n {
		out = append(out, s[:n])
		s = s[n:]
	}
	return strings.Join(append(out, s), end)
}

func gz(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zlibbed(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRuns holds that base64 and hexadecimal inside a text are read, however
// the text folds and escapes them, and that what looks like them is not.
func TestRuns(t *testing.T) {
	const secret = "SSN 536-22-8145"
	long := strings.Repeat("The patient was seen in clinic today; no complaints.\n", 60) + secret + "\nend"
	packed := gz(t, secret+fmt.Sprint(rand.New(rand.NewPCG(1, 2)).Perm(3000)))
	std, b64url := base64.StdEncoding.EncodeToString([]byte(long)), base64.RawURLEncoding.EncodeToString([]byte(long))
	zipped := base64.StdEncoding.EncodeToString(packed)
	for name, doc := range map[string]string{
		"a token in prose":       "The file says U1NOIDUzNi0yMi04MTQ1, as you know.",
		"a bare number":          "key=" + b64("536-22-8145") + ";",
		"behind a path":          "see https://x.example/a/b/" + base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"a long line":            "body: " + std + " and more",
		"of the URL's alphabet":  "body: " + b64url + " and more",
		"mail's lines":           "Hello,\r\n\r\n" + folded(std, "\r\n", 76) + "\r\n\r\nBye",
		"quoted":                 "> Hello,\n> \n> " + folded(std, "\n> ", 64) + "\n> Bye",
		"PEM":                    "-----BEGIN DATA-----\n" + folded(zipped, "\n", 64) + "\n-----END DATA-----\n",
		"a file":                 "data: " + zipped + "\nbye",
		"a file in lines":        "data:\n" + folded(zipped, "\n", 76) + "\nbye",
		"FHIR Binary in JSON":    `{"resourceType":"Binary","contentType":"application/gzip","data":"` + zipped + `"}`,
		"JSON, folded":           `{"data":"` + folded(zipped, `\n`, 76) + `","x":1}`,
		"JSON, folded CRLF":      `{"data":"` + folded(zipped, `\r\n`, 76) + `","x":1}`,
		"JSON, slashes escaped":  `{"data":"` + strings.ReplaceAll(zipped, "/", `\/`) + `","x":1}`,
		"JSON, signs escaped":    `{"data":"` + strings.NewReplacer("+", `\u002B`, "=", `\u003d`).Replace(zipped) + `","x":1}`,
		"XML, folded":            "<?xml version=\"1.0\"?><text mediaType=\"application/pdf\" representation=\"B64\">\n   " + folded(zipped, "\n    ", 76) + "\n</text>",
		"XML, references":        "<?xml version=\"1.0\"?><Binary><data value=\"" + folded(zipped, "&#10;", 76) + "\"/></Binary>",
		"CDATA":                  "<?xml version=\"1.0\"?><d><![CDATA[" + zipped + "]]></d>",
		"HL7 ED":                 "MSH|^~\\&|A|B|C|D|20260101||ORU^R01|1|P|2.5\rPID|1||7\rOBX|1|ED|PDF^Report||^application^pdf^Base64^" + zipped + "||||||F\r",
		"HL7 ED, folded":         "MSH|^~\\&|A|B|C|D|20260101||ORU^R01|1|P|2.5\rPID|1||7\rOBX|1|ED|PDF^Report||^application^pdf^Base64^" + folded(zipped, `\.br\`, 76) + "||||||F\r",
		"X12 275":                "ISA*00*          *00*          *ZZ*A              *ZZ*B              *260101*1200*^*00501*1*0*P*:~GS*PI*A*B*20260101*1200*1*X*006020X314~ST*275*1~BDS*B64*" + fmt.Sprint(len(zipped)) + "*" + zipped + "~SE*3*1~",
		"YAML":                   "doc: !!binary |\n  " + folded(zipped, "\n  ", 76) + "\nnext: 1\n",
		"SQL in hexadecimal":     "INSERT INTO t VALUES (1,0x" + strings.ToUpper(hex.EncodeToString(packed)) + ",'a');",
		"bytea":                  "1\t\\\\x" + hex.EncodeToString([]byte(long)) + "\tx",
		"a number in hex":        "id " + hex.EncodeToString([]byte("536-22-8145")) + ".",
		"CSS":                    "a{background:url(data:application/gzip;base64," + zipped + ")}",
		"percent signs":          "x=" + url.QueryEscape(zipped) + "&y=1",
		"a token":                "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"a","ssn":"536-22-8145"}`)) + ".c2lnbmF0dXJlLXRoYXQtaXMtbm9pc2U",
		"twice":                  "x " + b64("y "+b64(secret)) + " z",
		"UTF-16":                 "x " + base64.StdEncoding.EncodeToString([]byte("S\x00S\x00N\x00 \x005\x003\x006\x00-\x002\x002\x00-\x008\x001\x004\x005\x00")),
		"HTML":                   "<html><body><p>" + folded(zipped, "\n", 76) + "</p></body></html>",
		"zlib":                   "x " + base64.StdEncoding.EncodeToString(zlibbed(t, secret+", a patient of ours here")) + " y",
		"zlib in lines":          "x\n" + folded(base64.StdEncoding.EncodeToString(zlibbed(t, secret+hashes(40, hex.EncodeToString))), "\n", 76) + "\ny",
		"a column":               "id,note\n1," + b64(secret) + "\n2," + b64("nothing to see") + "\n",
		"far in":                 strings.Repeat("Nothing of interest stands in this line.\n", 100000) + folded(zipped, "\n", 76) + "\nbye\n",
		"where a window is cut":  strings.Repeat("x ", 64<<10-7) + folded(std, "\r\n", 76) + "\r\nbye",
		"a short one at a cut":   strings.Repeat("x ", 64<<10-5) + b64(secret) + " bye",
		"unpadded, words behind": base64.RawStdEncoding.EncodeToString([]byte(secret+"\n")) + "\nThanks and regards",
	} {
		a := serve(t, false, limits, []byte(doc))
		if all := a.all(); !strings.Contains(all, "536-22-8145") {
			t.Errorf("%s: not found in %v: %.300q", name, a.paths, all)
		}
		if len(a.gaps) > 0 {
			t.Errorf("%s: gaps %v", name, a.told())
		}
	}
	for name, doc := range map[string]string{
		"hashes":      hashes(4000, hex.EncodeToString),
		"tokens":      hashes(4000, base64.StdEncoding.EncodeToString),
		"words":       strings.Repeat("com.example.NotificationServiceImplementation/usr/share/lib-x86_64/antidisestablishmentarianism\n", 200),
		"a number":    "order 293481763548120934876123049187236401, 536228145536228145536228",
		"a key":       "ssh-rsa " + base64.StdEncoding.EncodeToString([]byte(hashes(8, func(b []byte) string { return string(b) }))),
		"plain names": "JenniferSmithsonBarnaby AlexanderHamiltonWashington",
	} {
		if a := serve(t, false, limits, []byte(doc)); len(a.paths) != 1 || len(a.gaps) > 0 {
			t.Errorf("%s: parts %v, gaps %v: %.200q", name, a.paths, a.told(), a.texts[a.paths[len(a.paths)-1]])
		}
	}
}

func hashes(n int, write func([]byte) string) string {
	var b strings.Builder
	for i := range n {
		h := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		b.WriteString(write(h[:]) + "\n")
	}
	return b.String()
}

func (a *answer) all() string {
	var b strings.Builder
	for _, p := range a.paths {
		b.WriteString(a.texts[p] + "\n")
	}
	return b.String()
}

// BenchmarkText reads plain texts of the kinds that are looked through for
// base64: words, a table, and hashes.
func BenchmarkText(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	words := strings.Fields("the patient was seen in clinic today for a follow up visit and medication reconciliation with no complaints hospitalization")
	var prose, table strings.Builder
	table.WriteString("id,name,amount,uuid,note\n")
	for prose.Len() < 4<<20 {
		prose.WriteString(words[r.IntN(len(words))])
		prose.WriteByte(" \n"[min(1, r.IntN(12)/11)])
	}
	for table.Len() < 4<<20 {
		fmt.Fprintf(&table, "%d,%s,%d.%02d,%08x-%04x-4%03x-%012x,%s\n", r.IntN(1e7), words[r.IntN(len(words))], r.IntN(1e4), r.IntN(100),
			r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.Uint64()>>16, words[r.IntN(len(words))])
	}
	for _, c := range []struct{ name, text string }{{"prose", prose.String()}, {"csv", table.String()}, {"hashes", hashes(64<<10, hex.EncodeToString)}} {
		b.Run(c.name, func(b *testing.B) {
			var in bytes.Buffer
			send := func(op wire.Op, p []byte) {
				if err := wire.Write(&in, op, p); err != nil {
					b.Fatal(err)
				}
			}
			send(wire.OpJob, wire.AppendJob(nil, &wire.Job{Size: int64(len(c.text)), Limits: limits}))
			for p := range slices.Chunk([]byte(c.text), 100<<10) {
				send(wire.OpData, p)
			}
			send(wire.OpEnd, nil)
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				if err := (formats.Child{In: bytes.NewReader(in.Bytes()), Out: io.Discard}).Serve(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestCutNumbers holds that a number is whole where a text, a form or a damaged
// message takes it apart, and that what only looks so is one part.
func TestCutNumbers(t *testing.T) {
	for name, c := range map[string]struct{ doc, want string }{
		"lines":             {"Dear all,\r\nthe SSN is\r\n536-\r\n22-\r\n8145\r\nbye\r\n", "536-22-8145"},
		"lines, quoted":     {"> SSN 536-\n> 22-\n> 8145\n", "536-22-8145"},
		"a digit a line":    {"SSN\n5\n3\n6\n2\n2\n8\n1\n4\n5\nbye\n", "536228145"},
		"cells":             {"<html><table><tr><td>SSN</td><td>536</td><td>22</td><td>8145</td></tr></table></html>", "SSN 536228145"},
		"a digit a cell":    {"<html><table><tr><td>SSN:<td>5<td>3<td>6<td>2<td>2<td>8<td>1<td>4<td>5</table></html>", "SSN: 536228145"},
		"quoted-printable":  {"SSN =35=33=36=2D=32=32=2D=38=31=34=35 thanks\n", "536-22-8145"},
		"percent in a link": {"<html><a href='http://x.example/?ssn=%35%33%36-22-8145'>here</a></html>", "ssn=536-22-8145"},
		"percent signs":     {"see ?ssn=%35%33%36%2D%32%32%2D%38%31%34%35 thanks\n", "536-22-8145"},
	} {
		if a := serve(t, false, limits, []byte(c.doc)); !strings.Contains(a.all(), c.want) || len(a.gaps) > 0 {
			t.Errorf("%s: %v %q, gaps %v", name, a.paths, a.all(), a.told())
		}
	}
	damaged := "From: a@a.example\r\nTo: b@b.example\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		b64("0\x82\x01\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x82SSN 536-22-8145\x00\x01")
	if a := serve(t, true, limits, []byte(damaged)); !strings.Contains(a.texts["1"], "536-22-8145") || len(a.gaps) != 1 {
		t.Errorf("damaged CMS: %q %v", a.texts["1"], a.told())
	}
	notBase64 := "From: a@a.example\r\nTo: b@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n... the SSN is 536-22-8145, (so) they say ...\r\n"
	partly := strings.Replace(notBase64, "... the SSN is 536-22-8145, (so) they say ...", b64(strings.Repeat("see below ", 500))+"\r\nthe SSN is 536-22-8145", 1)
	for _, doc := range []string{notBase64, partly} {
		if a := serve(t, true, limits, []byte(doc)); !strings.Contains(a.all(), "536-22-8145") {
			t.Errorf("not base64: %v, %d bytes", a.paths, len(a.all()))
		}
	}
	for name, doc := range map[string]string{
		"a table of numbers": "<html><table><tr><td>Total</td><td>150</td><td>20</td><td>20190</td></tr></table></html>",
		"a list":             "1\n2\n3\n\n10 - 20\n",
		"a URL":              "https://x.example/?a=30&b=%20%2F%2D\n",
	} {
		if a := serve(t, false, limits, []byte(doc)); len(a.paths) != 1 || strings.Contains(a.all(), "1502020190") {
			t.Errorf("%s: %v %q", name, a.paths, a.all())
		}
	}
}

// FuzzRuns holds that base64 is found behind whatever text.
func FuzzRuns(f *testing.F) {
	f.Add("a word", "more")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAA/BBBBBBBBBBBB-____", "\x00\xff")
	f.Add(`{"data":"JVBERi0x\n0x2550\u002b%2B&#10;==`, "")
	f.Fuzz(func(t *testing.T, before, more string) {
		doc := before + " . " + b64("SSN 536-22-8145\n"+more) + " ."
		a := serve(t, false, small, []byte(doc))
		if a.texts[""] == doc && !strings.Contains(a.all(), "SSN 536-22-8145") {
			t.Errorf("not found: %q", a.paths)
		}
	})
}

// TestXPS holds that a page is read line by line, a number whose digits are drawn
// one by one as a whole, and that a run without text is a gap.
func TestXPS(t *testing.T) {
	glyph := func(x, y int, s string) string {
		return fmt.Sprintf(`<Glyphs OriginX="%d" OriginY="%d" FontRenderingEmSize="10" UnicodeString="%s" Indices="1"/>`, x, y, s)
	}
	page := `<FixedPage xmlns="http://schemas.microsoft.com/xps/2005/06">` + glyph(10, 20, "SSN ")
	for i, c := range "536-22-8145" {
		page += glyph(34+6*i, 20, string(c))
	}
	page += glyph(200, 20, "{}{x}") + glyph(10, 40, "next")
	a := serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, member{"Documents/1/Pages/1.fpage", page + "</FixedPage>"})))
	if got, want := strings.TrimSpace(a.texts[""]), "SSN 536-22-8145\t{x}\nnext"; got != want || len(a.gaps) > 0 {
		t.Errorf("got %q, want %q, gaps %v", got, want, a.told())
	}
	a = serve(t, false, limits, []byte(zipOf(t, member{"[Content_Types].xml", contentTypes}, member{"Documents/1/Pages/1.fpage", page + glyph(1, 60, "") + "</FixedPage>"})))
	if got := a.told(); len(got) != 1 || got[0] != "unsupported xps glyphs without text" {
		t.Errorf("gaps %v", got)
	}
}
