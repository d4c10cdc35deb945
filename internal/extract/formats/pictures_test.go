package formats_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// pngWith is the frame of a PNG with one text.
func pngWith(keyword, text string) string {
	data := keyword + "\x00" + text
	if keyword == "XML:com.adobe.xmp" {
		data = keyword + "\x00\x00\x00\x00\x00" + text
		return "\x89PNG\r\n\x1a\n" + string(binary.BigEndian.AppendUint32(nil, uint32(len(data)))) + "iTXt" + data + "\x00\x00\x00\x00"
	}
	return "\x89PNG\r\n\x1a\n" + string(binary.BigEndian.AppendUint32(nil, uint32(len(data)))) + "tEXt" + data + "\x00\x00\x00\x00"
}

// TestPictureWords holds what the part of a picture says, and that the picture
// is told once.
func TestPictureWords(t *testing.T) {
	xmp := `<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="t"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">` +
		`<rdf:Description rdf:about="" photoshop:City="Exampleton"><dc:creator><rdf:Seq><rdf:li>Ada &amp; Zoë</rdf:li></rdf:Seq></dc:creator>` +
		`<xmpGImg:image>/9j/` + strings.Repeat("4AAQSkZJRgABAQEASABIAAD/", 30) + `</xmpGImg:image>` +
		`<Iptc4xmpExt:PersonInImage>SSN 536-22-8145</Iptc4xmpExt:PersonInImage></rdf:Description></rdf:RDF></x:xmpmeta>`
	for _, c := range []struct {
		name, in, want string
		gaps           []string
	}{
		{"text", pngWith("Description", "MRN E1234567"), "Description: MRN E1234567\n", nil},
		{"XMP", pngWith("XML:com.adobe.xmp", xmp), "City: Exampleton\ncreator: Ada & Zoë\nPersonInImage: SSN 536-22-8145\n", nil},
		{"XMP that is cut", pngWith("XML:com.adobe.xmp", `<x:xmpmeta><a>MRN 123</a><b c="SSN 536-22-8145`), "a: MRN 123\nXMP: <x:xmpmeta><a>MRN 123</a><b c=\"SSN 536-22-8145\n", nil},
		{"XMP with entities of its own", pngWith("XML:com.adobe.xmp", `<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`), "", []string{"unsupported xml document type"}},
		{"nothing", "\x89PNG\r\n\x1a\n", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, false, limits, []byte(c.in))
			if a.texts[""] != c.want {
				t.Errorf("got %q, want %q", a.texts[""], c.want)
			}
			if want := append(c.gaps, "image image/png"); fmt.Sprint(a.told()) != fmt.Sprint(want) {
				t.Errorf("gaps: got %q, want %q", a.told(), want)
			}
			for _, s := range a.spans[""] {
				if s.Label == "" {
					t.Errorf("no name at %d", s.Start)
				}
			}
		})
	}
}
