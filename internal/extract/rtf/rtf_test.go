package rtf_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stanch-dlp/stanch/internal/extract/rtf"
)

// got is a Sink that keeps all.
type got struct {
	text  strings.Builder
	files []string // kind, name, media, bytes
	data  [][]byte
}

func (g *got) Text(b []byte) error {
	g.text.Write(b)
	return nil
}

func (g *got) File(f rtf.File) error {
	g.files = append(g.files, fmt.Sprintf("%d %s %s %d %v", f.Kind, f.Name, f.Media, len(f.Data), f.Cut))
	g.data = append(g.data, f.Data)
	return nil
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		want string
	}{
		{"words and lines", `{\rtf1\ansi Hello\par W\b o\b0 rld\line x\tab y}`, "Hello\nWorld\nx\ty\n"},
		{"code page of the document", `{\rtf1\ansi\ansicpg1250 \'c8l\'e1nek}`, "Článek\n"},
		{"code page of a font", `{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fswiss\fcharset0 A;}{\f1\fnil\fcharset204{\*\fname B;}B CYR;}}\f1\'c8\'e2\'e0\'ed\f0 \'e9}`, "Иванé\n"},
		{"default font", `{\rtf1\ansi\deff1{\fonttbl{\f1\fcharset161 G;}}\'c1}`, "Α\n"},
		{"two bytes, the second a letter", `{\rtf1\ansi\ansicpg932 \'83A\'93\'8c\'8b\'9e}`, "ア東京\n"},
		{"two bytes in a font of the Latin set", `{\rtf1\ansi\ansicpg936{\fonttbl{\f0\fcharset0 S;}}\f0\'d5\'c5}`, "张\n"},
		{"unicode with stand-ins", `{\rtf1\uc1 M\u252\'fcl\u-10179?\u-8704?{\uc2\u26481\'93\'8c}\u8364 ?x{\uc0\u53 36}}`, "Mül😀東€x536\n"},
		{"stand-ins end with a group", `{\rtf1{\uc5\u53?}36-22-8145}`, "536-22-8145\n"},
		{"symbols", `{\rtf1 536\_22\_8145 a\~b 53\-6 \{c\} \\ d\emdash e}`, "536-22-8145 a\u00a0b 536 {c} \\ d—e\n"},
		{"lines of the file", "{\\rtf1 536-\r\n22-\n8145\\\nx}", "536-22-8145\nx\n"},
		{"tables", `{\rtf1\trowd\cellx1\cellx2\intbl Name\cell SSN\cell\row\trowd Ada\cell 536-22-8145\cell\row after}`, "Name\tSSN\t\nAda\t536-22-8145\t\nafter\n"},
		{"nested tables", `{\rtf1\itap2 in\nestcell{\*\nesttableprops\trowd\nestrow}{\nonesttables\par no}\itap1 out\cell\row}`, "in\t\nout\t\n"},
		{"header, footer", `{\rtf1{\header\pard Clinic\par}{\footer SSN 536-22-8145}Body\par}`, "Body\nClinic\nSSN 536-22-8145\n"},
		{"a footnote inside a number", `{\rtf1 536-22{\footnote\chftn  see\b there}-8145}`, "536-22-8145\n seethere\n"},
		{"annotation", `{\rtf1 a{\*\atnid AL}{\*\atnauthor Ada L}\chatn{\*\annotation{\*\atndate 123456789}Call 555-0100}b}`, "ab\nAL\nAda L\nCall 555-0100\n"},
		{"field", `{\rtf1 x{\field{\*\fldinst HYPERLINK "http://a.example"}{\fldrslt shown}}y}`, "xshowny\nHYPERLINK \"http://a.example\"\n"},
		{"a list's words", `{\rtf1{\*\listtable{\list{\listlevel\levelnfc23\levelstartat1{\leveltext\'0fSSN 536-22-8145;}{\levelnumbers;}}{\listname l;}\listid1}}x}`, "x\nSSN 536-22-8145\n"},
		{"a list's number", `{\rtf1{\*\listtable{\list{\listlevel\levelnfc0\levelstartat8145{\leveltext\'0cSSN 536-22-\'00;}{\levelnumbers\'0c;}}}}x}`, "x\nSSN 536-22-8145\n"},
		{"a list's numbers", `{\rtf1{\*\listtable{\list{\listlevel\levelstartat536{\leveltext\'02\'00.;}}{\listlevel\levelstartat22{\leveltext\'03\'00.\'01;}}{\listlevel\levelstartat8145{\leveltext\'05\'00-\'01-\'02;}}}}x}`, "x\n536.22\n536-22-8145\n"},
		{"a list that begins elsewhere", `{\rtf1{\*\listtable{\list{\listlevel\levelnfc0\levelstartat1{\leveltext\'0cSSN 536-22-\'00;}}}}{\*\listoverridetable{\listoverride{\lfolevel\listoverridestartat\levelstartat8145}\ls1}}x}`, "x\nSSN 536-22-1\nSSN 536-22-8145\n"},
		{"lists as most are", `{\rtf1{\*\listtable{\list{\listlevel\levelnfc0{\leveltext\'02\'00.;}}{\listlevel\levelnfc23{\leveltext\'01\u-3913 ?;}}}}x}`, "x\n"},
		{"an older list's number", `{\rtf1\pard{\*\pn\pnlvlbody\pndec\pnstart8145{\pntxtb SSN 536-22-}{\pntxta  x}}a\par{\*\pn\pnlvlblt{\pntxtb\'b7}}b}`, "a\nSSN 536-22-8145 x\nb\n"},
		{"symbols as fields", `{\rtf1 SSN {\field{\*\fldinst SYMBOL 53 \\\\f "Arial"}{\fldrslt }}{\field{\*\fldinst { SYMBOL 0x33 }}{\fldrslt{\b x}}}6-22-8145}`, "SSN 536-22-8145\nSSN x6-22-8145\n"},
		{"bytes of a font of symbols", `{\rtf1 \u-4043 ?\u-4045 ?6-22-8145}`, "536-22-8145\n"},
		{"information", `{\rtf1{\info{\title T}{\author A}{\creatim\yr2020}{\*\company C}}x}`, "x\nT\nA\nC\n"},
		{"user properties", `{\rtf1{\*\userprops{\propname MRN}\proptype30{\staticval 12345678}}x}`, "x\nMRN\n12345678\n"},
		{"hidden", `{\rtf1 a {\v SSN 536-22-8145}b\par c}`, "a b\na SSN 536-22-8145b\nc\n"},
		{"hidden inside a number", `{\rtf1 536{\v 99}-22-8145}`, "536-22-8145\n53699-22-8145\n"},
		{"hidden, ended by plain", `{\rtf1\v h\plain s}`, "s\nhs\n"},
		{"deleted", `{\rtf1 new{\deleted\revauth1 old}{\revised er}}`, "newer\nnewolder\n"},
		{"lists", `{\rtf1{\listtext\pard 1.\tab}first\par{\pntext\'b7\tab}second}`, "1.\tfirst\n·\tsecond\n"},
		{"shape", `{\rtf1 a{\shp{\*\shpinst\shpleft1{\sp{\sn shapeType}{\sv 202}}{\sp{\sn wzDescription}{\sv 5362}}{\sp{\sn gtextUNICODE}{\sv 53}}{\shptxt box\par}}}b}`, "ab\n5362\n53\nbox\n"},
		{"drawing", `{\rtf1 a{\*\do\dobxpage{\dptxbx{\dptxbxtext in it}}}b}`, "ab\nin it\n"},
		{"form", `{\rtf1{\field{\*\fldinst FORMTEXT{\*\formfield{\fftype0{\*\ffname N}{\*\ffdeftext D}}}{\*\datafield 00112233}}{\fldrslt R}}}`, "R\nN\nD\nFORMTEXT\n"},
		{"two character sets", `{\rtf1{\upr{Muller}{\*\ud{M\u252 uller}}}}`, "Müller\nMuller\n"},
		{"destinations that nobody knows", `{\rtf1 a{\*\madeup SSN 536-22-8145}{\*\b bold}{\madeup too}b}`, "aboldtoob\nSSN 536-22-8145\n"},
		{"data that nobody knows", `{\rtf1 a{\*\madeup ` + strings.Repeat("0123456789abcdef", 5) + `}b}`, "ab\n"},
		{"no words", `{\rtf1{\colortbl;\red1;}{\stylesheet{\s0 Normal;}{\*\cs1 X;}}{\*\generator G;}{\*\themedata 504b0304}x}`, "x\n"},
		{"a table's word in the outermost group", `{\rtf1\stylesheet 536-22-8145}`, "536-22-8145\n"},
		{"bytes passed over", "{\\rtf1 a\\bin5 }}{{}b}", "ab\n"},
		{"one brace too many", `{\rtf1 a}} b\par}c`, "a\n b\nc\n"},
		{"no end", `{\rtf1 a{\b b`, "ab\n"},
		{"a short name", `{\rtxa4 b`, "b\n"},
		{"zeros behind the end", "{\\rtf1 a}\r\n\x00\x00", "a\n"},
		{"formula", `{\rtf1{\mmath{\*\moMath{\mr\mrPr{\mscr0}x=5}}}}`, "x=5\n"},
		{"two readings of a cell", `{\rtf1 SSN\cell{\v 5}36\cell\row}`, "SSN\t36\t\nSSN\t536\t\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var g got
			if err := rtf.Read([]byte(c.in), &g); err != nil {
				t.Errorf("got %v", err)
			}
			if g.text.String() != c.want {
				t.Errorf("got %q, want %q", g.text.String(), c.want)
			}
		})
	}
}

// object writes an object of OLE 1.
func object(class string, data []byte) string {
	var b bytes.Buffer
	u32 := func(n int) { b.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}) }
	u32(0x501)
	u32(2)
	u32(len(class) + 1)
	b.WriteString(class + "\x00")
	u32(0)
	u32(0)
	u32(len(data))
	b.Write(data)
	return hex.EncodeToString(b.Bytes())
}

const packaged = "\x02\x00note.txt\x00C:\\note.txt\x00\x00\x00\x03\x00\x05\x00\x00\x00C:\\t\x00\x03\x00\x00\x00abc"

func TestFiles(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    string
		text  string
		files []string
		err   error
	}{
		{"picture", `{\rtf1 a{\pict{\*\picprop{\sp{\sn wzDescription}{\sv alt}}}\pngblip\picw9{\*\blipuid 00ff}89504e47 0d0a}b}`, "ab\nalt\n", []string{"1  image/png 6 false"}, nil},
		{"picture in bytes", "{\\rtf1{\\pict\\wmetafile8\\bin3 a}bxx}}", "", []string{"1  image/wmf 3 false"}, nil},
		{"both kinds of picture", `{\rtf1{\*\shppict{\pict\pngblip 8950}}{\nonshppict{\pict\wmetafile8 0100}}}`, "", []string{"1  image/png 2 false"}, nil},
		{"object", `{\rtf1{\object\objemb{\*\objclass Package}{\*\objdata ` + object("Package", []byte(packaged)) + `}{\result shown}}}`, "shown\nPackage\n", []string{"0 note.txt  3 false"}, nil},
		{"object with junk between", `{\rtf1{\object{\*\objdata\x {\*\y 99}` + strings.ReplaceAll(object("Word", []byte("abcd")), "00", "0\n0 ") + `}}}`, "99\n", []string{"0   4 false"}, nil},
		{"object without a header", `{\rtf1{\object{\*\objdata 616263}}}`, "", []string{"0   3 false"}, nil},
		{"object cut", `{\rtf1{\object{\*\objdata ` + object("Word", []byte("abcd"))[:60], "", []string{"0   1 true"}, rtf.ErrCorrupt},
		{"pictures within one another", `{\rtf1` + strings.Repeat(`{\pict`, 100) + " 8950" + strings.Repeat("}", 101), "", []string{"1   2 false", "1   2 false", "1   2 false"}, nil},
		{"bytes behind the end", "{\\rtf1 a}PK\x03\x04\x00", "a\n", []string{"2   5 false"}, nil},
		{"bytes that are not there", `{\rtf1 a\bin999 b`, "a\n", nil, rtf.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			var g got
			if err := rtf.Read([]byte(c.in), &g); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if g.text.String() != c.text || fmt.Sprint(g.files) != fmt.Sprint(c.files) {
				t.Errorf("got %q %q, want %q %q", g.text.String(), g.files, c.text, c.files)
			}
		})
	}
}

// TestHTML reads the HTML in a document that is made as [MS-OXRTFEX] 3.1 shows.
func TestHTML(t *testing.T) {
	in := `{\rtf1\ansi\ansicpg1251\fromhtml1 \deff0{\fonttbl{\f0\fswiss\fcharset204 Arial;}}{\colortbl;}
{\*\htmltag64 <p class="}{\*\htmltag64 x">}\htmlrtf {\b \htmlrtf0 \'c8\'e2\'e0\'ed{\*\htmltag84 &nbsp;}\htmlrtf \'a0\htmlrtf0 5\tab 6\par{\*\htmltag72 </p>}\htmlrtf }\par\htmlrtf0}`
	if !rtf.Wraps([]byte(in)) {
		t.Fatal("not seen to wrap HTML")
	}
	var g got
	if err := rtf.HTML([]byte(in), &g); err != nil {
		t.Fatal(err)
	}
	if want := "<p class=\"x\">Иван&nbsp;5\t6\r\n</p>\n"; g.text.String() != want {
		t.Errorf("got %q, want %q", g.text.String(), want)
	}
	g = got{}
	if err := rtf.Read([]byte(in), &g); err != nil {
		t.Fatal(err)
	}
	if want := "Иван\u00a05\t6\n"; g.text.String() != want { // with the stand-in of the entity
		t.Errorf("as RTF: got %q, want %q", g.text.String(), want)
	}
}

// TestDecompress reads the examples of [MS-OXRTFCP] 3.1 and 3.2.
func TestDecompress(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"simple", "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0",
			"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"},
		{"overlapping", "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0", "{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := hex.DecodeString(c.in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := rtf.Decompress(b)
			if err != nil || string(got) != c.want {
				t.Errorf("got %q %v, want %q", got, err, c.want)
			}
			if got, err := rtf.Decompress(b[:len(b)-6]); !errors.Is(err, rtf.ErrCorrupt) || !strings.HasPrefix(c.want, string(got)) {
				t.Errorf("cut: got %q %v, want what came before and ErrCorrupt", got, err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var g got
		_ = rtf.Read(b, &g)
		if !utf8.ValidString(g.text.String()) {
			t.Error("text is no valid UTF-8")
		}
		size := g.text.Len()
		for _, d := range g.data {
			size += len(d)
		}
		if size > 8*len(b)+64 {
			t.Errorf("%d bytes came out of %d", size, len(b))
		}
		_ = rtf.HTML(b, &got{})
		if d, _ := rtf.Decompress(b); len(d) > 9*len(b) {
			t.Errorf("%d bytes came out of %d compressed", len(d), len(b))
		}
	})
}
