package synth

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
)

// PDF writes a document of A4 pages, one string a line, in Helvetica, with
// compressed content streams. A page takes up to 45 lines of ASCII; more run
// off its foot.
//
// Source: ISO 32000-1, 7.5 (file structure), 9.4 (text).
func PDF(pages [][]string) []byte {
	w := pdfWriter{}
	w.b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n") // 7.5.2: four bytes above 127 mark a binary file
	const fixed = 3                                  // objects before the pages: catalog, page tree, font
	var kids strings.Builder
	for i := range pages {
		fmt.Fprintf(&kids, "%d 0 R ", fixed+1+2*i)
	}
	w.object("<< /Type /Catalog /Pages 2 0 R >>")
	w.object(fmt.Sprintf("<< /Type /Pages /Count %d /Kids [ %s] /MediaBox [ 0 0 595 842 ] /Resources << /Font << /F1 3 0 R >> >> >>", len(pages), kids.String()))
	w.object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
	for i, lines := range pages {
		stream := compressed(pageContent(lines))
		w.object(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /Contents %d 0 R >>", fixed+2+2*i))
		w.object(fmt.Sprintf("<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream", len(stream), stream))
	}
	return w.close()
}

// pageContent writes the operators that show lines from the top of the page.
func pageContent(lines []string) []byte {
	var b bytes.Buffer
	b.WriteString("BT /F1 11 Tf 16 TL 56 770 Td\n")
	escapes := strings.NewReplacer(`\`, `\\`, `(`, `\(`, `)`, `\)`)
	for _, line := range lines {
		fmt.Fprintf(&b, "(%s) Tj T*\n", escapes.Replace(line))
	}
	b.WriteString("ET\n")
	return b.Bytes()
}

func compressed(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(data)
	must(err)
	must(w.Close())
	return b.Bytes()
}

// pdfWriter numbers objects from 1 and remembers where each begins.
type pdfWriter struct {
	b       bytes.Buffer
	offsets []int
}

func (w *pdfWriter) object(body string) {
	w.offsets = append(w.offsets, w.b.Len())
	fmt.Fprintf(&w.b, "%d 0 obj\n%s\nendobj\n", len(w.offsets), body)
}

// close writes the cross-reference table and the trailer. 7.5.4, 7.5.5.
func (w *pdfWriter) close() []byte {
	start := w.b.Len()
	fmt.Fprintf(&w.b, "xref\n0 %d\n0000000000 65535 f \n", len(w.offsets)+1)
	for _, at := range w.offsets {
		fmt.Fprintf(&w.b, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&w.b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(w.offsets)+1, start)
	return w.b.Bytes()
}
