package formats_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// undeclared are texts with a number, and charsets that iconv writes them in.
var undeclared = []struct {
	text     string
	charsets []string
}{
	{"患者の氏名は山田太郎です。番号は 536-22-8145、生年月日は1980年です。よろしくお願いします。\n", []string{"ISO-2022-JP", "SHIFT_JIS", "EUC-JP"}},
	{"환자 이름은 홍길동이고 번호는 536-22-8145 입니다. 병원에서 검사를 받았습니다.\n", []string{"EUC-KR", "ISO-2022-KR"}},
	{"病人的姓名是张三，号码是 536-22-8145，他昨天在医院做了检查，医生说没有问题。\n", []string{"GB18030", "GBK", "ISO-2022-CN"}},
	{"病人的姓名是張三，號碼是 536-22-8145，他昨天在醫院做了檢查，醫生說沒有問題。\n", []string{"BIG5"}},
	{"Фамилия пациента Иванов, номер 536-22-8145, вчера он был на осмотре в больнице.\n", []string{"KOI8-R", "WINDOWS-1251"}},
	{"Το όνομα του ασθενή είναι Παπαδόπουλος, αριθμός 536-22-8145, και εξετάστηκε χθες στο νοσοκομείο.\n", []string{"WINDOWS-1253"}},
	{"שם החולה הוא משה כהן ומספרו 536-22-8145 והוא נבדק אתמול בבית החולים\n", []string{"WINDOWS-1255"}},
	{"اسم المريض هو محمد ورقمه 536-22-8145 وقد تم فحصه أمس في المستشفى\n", []string{"WINDOWS-1256"}},
	{"The patient's number is 536-22-8145, seen on 2026-03-04 by Dr Example.\n", []string{"IBM037", "IBM500"}},
	{"Größe: 536-22-8145, für Zoë – 患者\n", []string{"UTF-7"}},
}

func encodedBy(t *testing.T, charset, text string) []byte {
	t.Helper()
	iconv, err := exec.LookPath("iconv")
	if err != nil {
		t.Skip("no iconv here")
	}
	cmd := exec.CommandContext(t.Context(), iconv, "-f", "UTF-8", "-t", charset)
	cmd.Stdin = strings.NewReader(text)
	b, err := cmd.Output()
	if err != nil {
		t.Skipf("iconv knows no %s", charset)
	}
	return b
}

// TestUndeclared holds that text in a charset that nothing declares is read in
// it, whatever else it is read in.
func TestUndeclared(t *testing.T) {
	for _, u := range undeclared {
		for _, charset := range u.charsets {
			t.Run(charset, func(t *testing.T) {
				a := serve(t, false, limits, encodedBy(t, charset, u.text))
				for _, text := range a.texts {
					if strings.TrimSpace(strings.ReplaceAll(text, "\u0085", "\n")) == strings.TrimSpace(u.text) {
						return
					}
				}
				t.Errorf("got %q", a.texts)
			})
		}
	}
}

// TestNotUndeclared holds that what is Western European, or no text, or a
// telephone number, has no further reading.
func TestNotUndeclared(t *testing.T) {
	for name, b := range map[string][]byte{
		"German":    encodedBy(t, "WINDOWS-1252", "Die Größe für Müller, Jürgen und Zoë: Übergröße, außen, süß, Straße, häßlich.\n"),
		"French":    encodedBy(t, "WINDOWS-1252", "L’élève a été reçu à l’école « Éluard », où il naît — déçu, créée, aïeul.\n"),
		"Spanish":   encodedBy(t, "ISO-8859-1", "¿Dónde está el niño? ¡Señor Muñoz, mañana según año, corazón, pingüino!\n"),
		"telephone": []byte("Call +15550100 or +1-555-0100, +4955501004; a+b, C++11, 1+abc.\n"),
		"escapes":   []byte("\x1b[31mred\x1b[0m text on a terminal 536-22-8145\n"),
		"few":       []byte("caf\xe9 536-22-8145\n"),
	} {
		a := serve(t, false, limits, b)
		for path := range a.texts {
			if name != "escapes" && path != "" {
				t.Errorf("%s: got a reading %q: %q", name, path, a.texts[path])
			}
		}
	}
}

// FuzzUndeclared holds that no bytes break a reading of them.
func FuzzUndeclared(f *testing.F) {
	f.Add([]byte("\x1b$B4A;z\x1b(B 536-22-8145"))
	f.Add([]byte("\x1b$)C\x0e0!\x0f"))
	f.Add(bytes.Repeat([]byte("\xcf\xe8\xf1"), 10))
	f.Add([]byte("+ADUAMwA2-"))
	f.Fuzz(func(t *testing.T, b []byte) { serve(t, false, limits, b) })
}
