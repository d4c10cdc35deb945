package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"regexp"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"
)

// looseWord is an encoded word as mail programs take one: also folded inside, with
// blanks or bytes outside ASCII, and however its code ends.
var looseWord = regexp.MustCompile(`=\?([^?\s]+)\?([BbQq])\?((?s:.*?))\?=`)

// Words is unstructured text with its encoded words read as the most generous of
// mail programs would. One in a charset that is not known stays as it is.
//
// Source: RFC 2047; RFC 2231 5 (language).
func Words(value string) string { return wordsBy(value, charsetReader) }

// wordsBy is Words with the charsets that charset reads; where it fails on one,
// value is as it came.
func wordsBy(value string, charset func(string, io.Reader) (io.Reader, error)) string {
	d := mime.WordDecoder{CharsetReader: charset}
	text, err := d.DecodeHeader(looseWord.ReplaceAllStringFunc(value, regular))
	if err != nil {
		return value
	}
	return text
}

// regular writes what looseWord matches as RFC 2047 has it.
func regular(word string) string {
	m := looseWord.FindStringSubmatch(word)
	charset, _, _ := strings.Cut(m[1], "*") // a language: RFC 2231 5
	var text []byte
	if m[2] == "B" || m[2] == "b" {
		text = looseBase64(m[3])
	} else {
		text, _ = decodeQP([]byte(strings.ReplaceAll(m[3], "_", " ")))
	}
	return "=?" + charset + "?B?" + base64.StdEncoding.EncodeToString(text) + "?="
}

// looseBase64 reads the digits of s, past all else and to the last whole byte.
func looseBase64(s string) []byte {
	digits := strings.Map(func(c rune) rune {
		if c == '+' || c == '/' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			return c
		}
		return -1
	}, s)
	if len(digits)%4 == 1 { // less than a byte
		digits = digits[:len(digits)-1]
	}
	b, _ := base64.RawStdEncoding.DecodeString(digits) // there is nothing in it that is none
	return b
}

// charsetReader reads an encoded word's charset.
func charsetReader(charset string, in io.Reader) (io.Reader, error) {
	d := decoder(charset)
	if d == nil {
		return nil, errCharset
	}
	return transform.NewReader(in, d), nil
}

var errCharset = errors.New("message: a charset that is not known")

// Decode returns the text b in UTF-8, with U+FFFD for what is not of its charset; known
// is false where that is not known. Without one it is UTF-8.
func Decode(b []byte, charset string) (text []byte, known bool) {
	d := decoder(charset)
	if d == nil {
		return nil, false
	}
	text, _, err := transform.Bytes(d, b)
	return text, err == nil
}

// decoder returns what reads a charset, nil where it is not known.
func decoder(charset string) transform.Transformer {
	switch charset = strings.ToLower(charset); charset {
	case "", "us-ascii", "ascii":
		charset = "utf-8"
	case "utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7":
		return &UTF7{}
	}
	e, err := htmlindex.Get(charset)
	if err != nil || e == encoding.Replacement { // it stands for charsets that browsers do not read
		return nil
	}
	return e.NewDecoder()
}

// asItIs reads every charset as the bytes it is written in, but for those of two and
// four bytes a letter, whose letters of ASCII are then parted by NUL.
func asItIs(_ string, in io.Reader) (io.Reader, error) {
	b, err := io.ReadAll(in)
	return bytes.NewReader(bytes.ReplaceAll(b, []byte{0}, nil)), err
}
