package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/stanch-dlp/stanch/internal/synth"
)

const (
	sender   = "front.desk@clinic.example"
	partner  = "intake@partner.example"
	inside   = "ward3@clinic.example"
	idHeader = "X-Demo-Id"
	password = "carrier pigeon" // of the encrypted archives: nobody is told
)

// message is one mail of the demo, with what should become of it.
type message struct {
	what   string
	id     string // of idHeader
	to     []string
	passes []string // recipients it should reach
	held   []string // recipients it should be held for
	raw    []byte
	mail   synth.Mail
}

// messages writes the eight messages of one run.
func messages(tag string) []message {
	people := synth.New(synth.Seed)
	p := people.Patients(8)
	attach := func(name, mediaType string, data []byte) []synth.Attachment {
		return []synth.Attachment{{Member: synth.Member{Name: name, Data: data}, Type: mediaType}}
	}
	cover := []string{"Hello,", "please find the document attached.", "Kind regards, front desk, Alder Clinic"}
	list := synth.Member{Name: "patients.csv", Data: synth.CSV(synth.Register(p[:5], true))}
	ms := []message{
		{what: "clean letter with a logo", passes: []string{partner},
			mail: synth.Mail{Subject: "New parking rules", Paragraphs: synth.CleanLetter(), Logo: synth.Logo()}},
		{what: "SSN in the body", held: []string{partner},
			mail: synth.Mail{Subject: "Claim returned", Paragraphs: synth.BillingNote(p[0])}},
		{what: ".docx with record numbers", held: []string{partner},
			mail: synth.Mail{Subject: "Referral", Paragraphs: cover, Attachments: attach("referral.docx", synth.TypeDOCX, synth.DOCX(synth.Referral(p[1])))}},
		{what: ".xlsx with record numbers", held: []string{partner},
			mail: synth.Mail{Subject: "Ward list", Paragraphs: cover, Attachments: attach("ward.xlsx", synth.TypeXLSX, synth.XLSX("Ward 3", synth.Register(p, false)))}},
		{what: "PDF discharge summary", held: []string{partner},
			mail: synth.Mail{Subject: "Discharge", Paragraphs: cover, Attachments: attach("discharge.pdf", synth.TypePDF, synth.PDF(synth.DischargeSummary(p[2])))}},
		{what: "zip with a CSV of patients", held: []string{partner},
			mail: synth.Mail{Subject: "Export", Paragraphs: cover, Attachments: attach("export.zip", synth.TypeZip, synth.Zip(list))}},
		{what: "encrypted zip", held: []string{partner},
			mail: synth.Mail{Subject: "Export, protected", Paragraphs: cover, Attachments: attach("export.zip", synth.TypeZip, synth.ZipAES(password, list))}},
		{what: "referral, inside and outside", passes: []string{inside}, held: []string{partner},
			mail: synth.Mail{Subject: "Referral for both of you", Paragraphs: synth.Referral(p[3])}},
	}
	for i := range ms {
		m := &ms[i]
		m.id = fmt.Sprintf("%s-%d", tag, i+1)
		m.to = append(append(m.to, m.passes...), m.held...)
		m.mail.From, m.mail.To = sender, m.to
		m.mail.Date = time.Now()
		m.mail.MessageID = "<" + m.id + "@clinic.example>"
		m.mail.Header = []synth.Field{{Name: idHeader, Value: m.id}}
		m.raw = synth.Message(m.mail)
	}
	return ms
}

// send hands m to the gateway, on a connection of its own as a mail program
// would.
func (m *message) send(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second) // past the default scan_timeout
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	client := gosmtp.NewClient(conn)
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends whatever waits on it
	defer stop()
	if err := client.Hello("desk.clinic.example"); err != nil {
		return err
	}
	if err := client.SendMail(sender, m.to, bytes.NewReader(m.raw)); err != nil {
		return err
	}
	return client.Quit()
}

// dropped is one file of the demo, with what should become of it.
type dropped struct {
	what  string
	name  string
	data  []byte
	taken bool // it should be taken away
}

// files writes the six files of one run.
func files() []dropped {
	people := synth.New(synth.Seed + 1)
	p := people.Patients(8)
	list := synth.Member{Name: "patients.csv", Data: synth.CSV(synth.Register(p[:5], true))}
	return []dropped{
		{"parking rules, text", "parking.txt", []byte(strings.Join(synth.CleanLetter(), "\n\n") + "\n"), false},
		{"price list, .xlsx", "prices.xlsx", synth.XLSX("Prices", synth.PriceList()), false},
		{"CSV with SSNs", "patients.csv", list.Data, true},
		{"referral, .docx", "referral.docx", synth.DOCX(synth.Referral(p[5])), true},
		{"discharge summary, PDF", "discharge.pdf", synth.PDF(synth.DischargeSummary(p[6])), true},
		{"encrypted zip", "backup.zip", synth.ZipCrypto(password, list), true},
	}
}

// drop puts the files into folder, as a program that saves them would.
func drop(folder string, files []dropped) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(folder, f.name), f.data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
