package formats_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/formats"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// BenchmarkMails reads as many small mails of prose as a child does in its life,
// asked for what they name as passwords.
func BenchmarkMails(b *testing.B) {
	const mails, size = 200, 10 << 10
	words := strings.Fields("the patient was seen in clinic today and reports feeling well with no new complaints since the last visit " +
		"blood pressure is stable on current medication follow up in six weeks or sooner if symptoms return please call the office")
	var doc strings.Builder
	doc.WriteString("From: <ada@clinic.example>\r\nTo: <sam@partner.example>\r\nSubject: weekly notes\r\n\r\n")
	for n := 0; doc.Len() < size; {
		for range 11 {
			doc.WriteString(words[n%len(words)] + " ")
			n += 7
		}
		doc.WriteString("12\r\n")
	}
	var in bytes.Buffer
	for range mails {
		for _, f := range []struct {
			op wire.Op
			b  []byte
		}{{wire.OpJob, wire.AppendJob(nil, &wire.Job{Size: int64(doc.Len()), Mail: true, Names: true, Tries: 10, TriesAll: 10, Limits: limits})},
			{wire.OpData, []byte(doc.String())}, {wire.OpEnd, nil}} {
			if err := wire.Write(&in, f.op, f.b); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	b.SetBytes(int64(mails * doc.Len()))
	for b.Loop() {
		if err := (formats.Child{In: bytes.NewReader(in.Bytes()), Out: io.Discard}).Serve(); err != nil {
			b.Fatal(err)
		}
	}
}
