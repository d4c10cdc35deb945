package metafile_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stanch-dlp/stanch/internal/extract/metafile"
)

// emr is a record of an enhanced metafile.
func emr(kind uint32, data ...any) []byte {
	b := binary.LittleEndian.AppendUint32(nil, kind)
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, d := range data {
		switch d := d.(type) {
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(int32(d)))
		case float64:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(d)))
		case []byte:
			b = append(b, d...)
		case string:
			for _, u := range utf16.Encode([]rune(d)) {
				b = binary.LittleEndian.AppendUint16(b, u)
			}
		}
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	return b
}

func emf(records ...[]byte) []byte {
	head := emr(1, make([]byte, 100))
	copy(head[40:], " EMF")
	return slices.Concat(append(append([][]byte{head}, records...), emr(14, 0, 0, 20))...)
}

// textW draws s at a point with an advance for each of its letters.
func textW(x, y, dx int, s string) []byte {
	n := len(utf16.Encode([]rune(s)))
	text := make([]byte, 0, 2*n+2)
	for _, u := range utf16.Encode([]rune(s)) {
		text = binary.LittleEndian.AppendUint16(text, u)
	}
	for len(text)%4 != 0 {
		text = append(text, 0)
	}
	steps := make([]byte, 0, 4*n)
	for range n {
		steps = binary.LittleEndian.AppendUint32(steps, uint32(dx))
	}
	return emr(84, 0, 0, 0, 0, 1, 1.0, 1.0, x, y, n, 76, 0, 0, 0, 0, 0, 76+len(text), text, steps)
}

func fontOf(n, height int, turn, charset int) []byte {
	return emr(82, n, -height, 0, turn, turn, 400, []byte{0, 0, 0, byte(charset)}, make([]byte, 64))
}

func plusComment(records ...[]byte) []byte {
	all := slices.Concat(records...)
	return emr(70, len(all)+4, []byte("EMF+"), all)
}

func plusRecord(kind, flags int, data ...any) []byte {
	body := emr(0, data...)[8:]
	b := binary.LittleEndian.AppendUint16(nil, uint16(kind))
	b = binary.LittleEndian.AppendUint16(b, uint16(flags))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)+12))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// wmf is a metafile of records, each its function and its words or bytes.
func wmf(records ...[]byte) []byte {
	b := []byte{1, 0, 9, 0, 0, 3, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0}
	for _, r := range append(records, meta(0)) {
		b = append(b, r...)
	}
	return b
}

func meta(kind int, data ...any) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(kind))
	for _, d := range data {
		switch d := d.(type) {
		case int:
			b = binary.LittleEndian.AppendUint16(b, uint16(int16(d)))
		case string:
			if b = append(b, d...); len(d)%2 != 0 {
				b = append(b, 0)
			}
		case []byte:
			b = append(b, d...)
		}
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)/2))
	return b
}

// digits draws each letter of s by itself, the last one first.
func digits(s string) (out []byte) {
	for i := len(s) - 1; i >= 0; i-- {
		out = append(out, textW(100+6*i, 50, 6, s[i:i+1])...)
	}
	return out
}

func TestRead(t *testing.T) {
	font := func(charset byte) []byte {
		return meta(0x02fb, -12, 0, 0, 0, 400, []byte{0, 0, 0, charset, 0, 0, 0, 0}, "Arial")
	}
	nan := math.NaN()
	for name, c := range map[string]struct {
		in    []byte
		want  string
		drawn bool
		err   error
	}{
		"a text":           {emf(textW(10, 10, 6, "SSN 536-22-8145")), "SSN 536-22-8145", false, nil},
		"letter by letter": {emf(fontOf(1, 12, 0, 0), emr(37, 1), digits("536-22-8145")), "536-22-8145", false, nil},
		"lines":            {emf(textW(10, 40, 6, "below"), textW(10, 10, 6, "above"), textW(46, 10, 6, "it")), "above it\nbelow", false, nil},
		"columns":          {emf(textW(10, 10, 6, "MRN"), textW(200, 10, 6, "1234567")), "MRN\t1234567", false, nil},
		"shadow":           {emf(textW(10, 10, 6, "once"), textW(11, 10, 6, "once")), "once", false, nil},
		"world":            {emf(emr(35, 10.0, 0.0, 0.0, 10.0, 0.0, 0.0), textW(10, 10, 6, "536"), emr(36, 0.1, 0.0, 0.0, 0.1, 0.0, 0.0, 2), textW(280, 100, 6, "-22")), "536-22", false, nil},
		"upwards":          {emf(emr(17, 8), emr(9, 100, -100), emr(11, 100, 100), textW(0, 0, 6, "below"), textW(0, 40, 6, "above")), "above\nbelow", false, nil},
		"from the right":   {emf(textW(10, 10, 6, "536-"), emr(22, 2), textW(46, 10, 6, "22")), "536-22", false, nil},
		"goes on":          {emf(emr(27, 10, 10), emr(22, 1), textW(0, 0, 6, "536"), textW(0, 0, 6, "-22")), "536-22", false, nil},
		"saved":            {emf(emr(33), emr(22, 2), emr(34, -1), textW(10, 10, 6, "ab"), textW(22, 10, 6, "cd")), "abcd", false, nil},
		"turned":           {emf(textW(10, 10, 6, "flat"), fontOf(1, 12, 900, 0), emr(37, 1), textW(10, 200, 6, "up"), textW(10, 188, 6, "wards")), "flat\nupwards", false, nil},
		"bytes":            {emf(fontOf(1, 12, 0, 204), emr(37, 1), emr(83, 0, 0, 0, 0, 1, 1.0, 1.0, 5, 5, 4, 76, 0, 0, 0, 0, 0, 0, []byte("\xc8\xe2\xe0\xed"))), "Иван", false, nil},
		"small":            {emf(emr(108, 5, 5, 3, 0x300, 1, 1.0, 1.0, []byte("MRN")), emr(108, 40, 5, 2, 0, 1, 1.0, 1.0, 0, 0, 9, 9, "Zo")), "MRN\tZo", false, nil},
		"several":          {emf(emr(97, 0, 0, 0, 0, 1, 1.0, 1.0, 2, 0, 0, 1, 120, 0, 0, 0, 0, 0, 0, 6, 0, 1, 122, 0, 0, 0, 0, 0, 0, "12")), "12", false, nil},
		"glyphs":           {emf(emr(84, 0, 0, 0, 0, 1, 1.0, 1.0, 5, 5, 2, 76, 0x10, 0, 0, 0, 0, 0, "ab")), "", true, nil},
		"bitmap":           {emf(textW(0, 0, 6, "x"), emr(81, make([]byte, 72))), "x", true, nil},
		"plus": {emf(plusComment(plusRecord(0x4001, 0, 0, 0, 0, 0), plusRecord(0x4008, 0x0601, 0, 12.0), plusRecord(0x402d, 0, 5.0, 5.0),
			plusRecord(0x401c, 1, 0, 0, 3, 10.0, 10.0, 0.0, 0.0, "SSN"), plusRecord(0x4036, 1, 0, 1, 0, 2, "12", 60.0, 10.0, 66.0, 10.0))), "SSN\t12", false, nil},
		"no world":      {emf(emr(35, nan, nan, nan, nan, nan, nan), textW(10, 10, 6, "SSN 536-22-8145")), "SSN 536-22-8145", false, nil},
		"flat world":    {emf(emr(35, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), digits("536-22-8145")), "536-22-8145", false, nil},
		"world too far": {emf(bytes.Repeat(emr(36, 1e30, 0.0, 0.0, 1e30, 0.0, 0.0, 2), 12), textW(10, 10, 6, "SSN 536-22-8145")), "SSN 536-22-8145", false, nil},
		"view too far":  {emf(emr(17, 8), bytes.Repeat(emr(31, 1<<30, 1, 1<<30, 1), 40), textW(10, 10, 6, "SSN 536-22-8145")), "SSN 536-22-8145", false, nil},
		"no place": {emf(plusComment(plusRecord(0x401c, 1, 0, 0, 3, nan, 10.0, 0.0, 0.0, "SSN"), plusRecord(0x4036, 1, 0, 1, 0, 3, "551\x00", nan, nan, nan, nan, nan, nan))),
			"SSN\n551", true, nil},
		"behind its end": {append(emf(textW(10, 10, 6, "x")), textW(10, 30, 6, "SSN 536-22-8145")...), "x", true, nil},
		"filled up":      {append(emf(textW(10, 10, 6, "x")), make([]byte, 20)...), "x", false, nil},
		"wmf behind":     {append(wmf(), meta(0x0521, 3, "SSN", 20, 10)...), "", true, nil},
		"wmf filled up":  {append(wmf(), 0, 0), "", false, nil},
		"both":           {emf(textW(5, 5, 6, "SSN"), plusComment(plusRecord(0x401c, 1, 0, 0, 3, 10.0, 10.0, 0.0, 0.0, "SSN"), plusRecord(0x401c, 1, 0, 0, 1, 10.0, 60.0, 0.0, 0.0, "1"))), "SSN\n1", false, nil},
		"plus's picture": {emf(plusComment(plusRecord(0x401a, 1, 0, 0))), "", true, nil},
		"cut":            {emf(textW(10, 10, 6, "SSN 1"))[:108+8+76+20], "", false, metafile.ErrCorrupt},
		"no end":         {emf(textW(10, 10, 6, "SSN 1"))[:108+108], "SSN 1", false, metafile.ErrCorrupt},

		"wmf":          {wmf(font(0), meta(0x012d, 0), meta(0x0521, 3, "SSN", 20, 10), meta(0x0a32, 20, 40, 11, 0, "536-22-8145", make([]byte, 0))), "SSN 536-22-8145", false, nil},
		"wmf letters":  {wmf(font(0), meta(0x012d, 0), meta(0x0a32, 20, 16, 1, 0, "2", []byte{6, 0}), meta(0x0a32, 20, 10, 1, 4, 0, 0, 9, 9, "1", []byte{6, 0})), "12", false, nil},
		"wmf Cyrillic": {wmf(meta(0x02fa, 0, 0, 0, 0, 0), font(204), meta(0x01f0, 0), font(0), meta(0x012d, 1), meta(0x0521, 4, "\xc8\xe2\xe0\xed", 20, 10)), "Иван", false, nil},
		"placeable":    {append(append([]byte("\xd7\xcd\xc6\x9a"), make([]byte, 18)...), wmf(meta(0x0521, 3, "SSN", 20, 10))...), "SSN", false, nil},
		"wmf bitmap":   {wmf(meta(0x0f43, 0, 0)), "", true, nil},
		"wmf cut":      {wmf(meta(0x0521, 3, "SSN", 20, 10))[:34], "SSN", false, metafile.ErrCorrupt},
		"nothing":      {nil, "", true, metafile.ErrCorrupt},
	} {
		p, err := metafile.Read(c.in)
		if got := strings.Join(p.Lines, "\n"); got != c.want || p.Drawn != c.drawn || !errors.Is(err, c.err) {
			t.Errorf("%s: got %q, %v, %v, want %q, %v, %v", name, got, p.Drawn, err, c.want, c.drawn, c.err)
		}
	}
}

// plotted has gnuplot make a picture.
func plotted(t *testing.T) []byte {
	t.Helper()
	gnuplot, err := exec.LookPath("gnuplot")
	if err != nil {
		t.Skip("no gnuplot here: Debian's gnuplot-nox has it")
	}
	file := filepath.Join(t.TempDir(), "a.emf")
	cmd := exec.CommandContext(t.Context(), gnuplot)
	cmd.Stdin = strings.NewReader("set encoding utf8\nset terminal emf\nset output '" + file + "'\nset title \"Patient Zoë Example, SSN 536-22-8145\"\nset xlabel \"MRN 1234567\"\nplot sin(x)\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gnuplot: %v %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var hexPicture = regexp.MustCompile(`\\wmetafile8[^\n{}]*\n([0-9a-f\s]+)`)

func TestPrograms(t *testing.T) {
	want := []string{"Patient Zoë Example, SSN 536-22-8145", "MRN 1234567", "sin(x)"}
	picture := plotted(t)
	check := func(t *testing.T, b []byte) {
		t.Helper()
		p, err := metafile.Read(b)
		if err != nil {
			t.Errorf("got %v", err)
		}
		for _, w := range want {
			if !slices.Contains(p.Lines, w) {
				t.Errorf("got %q, want %q among them", p.Lines, w)
			}
		}
	}
	t.Run("gnuplot's EMF", func(t *testing.T) { check(t, picture) })
	t.Run("LibreOffice's WMF", func(t *testing.T) {
		soffice, err := exec.LookPath("soffice")
		if err != nil {
			t.Skip("no soffice here")
		}
		dir := t.TempDir()
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "a.emf"), picture, 0o600),
			os.WriteFile(filepath.Join(dir, "a.html"), []byte(`<html><body><p>Here</p><img src="a.emf" width=600 height=400></body></html>`), 0o600)); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), soffice, "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--infilter=HTML (StarWriter)",
			"--convert-to", "rtf", "--outdir", dir, filepath.Join(dir, "a.html"))
		out, err := cmd.CombinedOutput()
		text, rerr := os.ReadFile(filepath.Join(dir, "a.rtf"))
		if err != nil || rerr != nil {
			t.Skipf("soffice does not run here: %v %v %s", err, rerr, out)
		}
		m := hexPicture.FindSubmatch(text)
		if m == nil {
			t.Skip("soffice wrote no WMF")
		}
		b, err := hex.DecodeString(string(bytes.Join(bytes.Fields(m[1]), nil)))
		if err != nil || !metafile.IsWMF(b) {
			t.Fatalf("no WMF: %v %.40x", err, b)
		}
		check(t, b)
	})
}

func FuzzRead(f *testing.F) {
	f.Add(emf(fontOf(1, 12, 0, 0), emr(37, 1), textW(10, 10, 6, "SSN 1")))
	f.Add(emf(plusComment(plusRecord(0x401c, 1, 0, 0, 3, 10.0, 10.0, 0.0, 0.0, "SSN"))))
	f.Add(wmf(meta(0x0521, 3, "SSN", 20, 10), meta(0x0a32, 20, 10, 1, 4, 0, 0, 9, 9, "1", []byte{6, 0})))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, _ := metafile.Read(b)
		n := 0
		for _, s := range p.Lines {
			n += len(s)
		}
		if n > 10*len(b)+1<<20 {
			t.Fatalf("%d bytes of text out of %d", n, len(b))
		}
	})
}
