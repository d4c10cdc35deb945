package formats

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/ar"
	"github.com/stanch-dlp/stanch/internal/extract/cab"
	"github.com/stanch-dlp/stanch/internal/extract/chm"
	"github.com/stanch-dlp/stanch/internal/extract/cpio"
	"github.com/stanch-dlp/stanch/internal/extract/dbf"
	"github.com/stanch-dlp/stanch/internal/extract/iso"
	"github.com/stanch-dlp/stanch/internal/extract/lzw"
	"github.com/stanch-dlp/stanch/internal/extract/mac"
	"github.com/stanch-dlp/stanch/internal/extract/metafile"
	"github.com/stanch-dlp/stanch/internal/extract/onenote"
	"github.com/stanch-dlp/stanch/internal/extract/parquet"
	"github.com/stanch-dlp/stanch/internal/extract/plist"
	"github.com/stanch-dlp/stanch/internal/extract/pst"
	"github.com/stanch-dlp/stanch/internal/extract/rpm"
	"github.com/stanch-dlp/stanch/internal/extract/rtf"
	"github.com/stanch-dlp/stanch/internal/extract/xls"
	"github.com/stanch-dlp/stanch/internal/extract/xz"
)

// format says which reader reads a leaf.
type format uint8

const (
	fBinary format = iota // none: a gap
	fEmpty
	fText
	fCSV
	fHTML
	fSVG
	fMail
	fMbox
	fPDF
	fZip
	fTar
	f7z
	fRar
	fAr
	fCpio
	fCab
	fISO
	fRPM
	fGzip
	fBzip2
	fXz
	fZstd
	fLZ4
	fLZMA
	fLzip
	fCompress
	fSnappy
	fZlib
	fCMS
	fOLE2
	fBIFF
	fDICOM
	fRTF
	fTNEF
	fBinHex
	fApple
	fMacBinary
	fSQLite
	fOneNote
	fAccess
	fPlist
	fPST
	fCHM
	fParquet
	fDBF
	fImage
)

// Media types of what is text and yet has fields.
const (
	mediaHL7  = "x-application/hl7-v2+er7"
	mediaX12  = "application/edi-x12"
	mediaJSON = "application/json"
)

// kind is what a leaf was found to be.
type kind struct {
	format format
	media  string
	cause  dlp.Cause // of fBinary
	detail string    // of fBinary
	delim  byte      // of fCSV: the delimiter, 0 for a single column
	header bool      // of fCSV: a row holds names
	title  int       // of fCSV: rows above it
}

func binaryKind(media, detail string) kind {
	return kind{media: media, cause: dlp.Unsupported, detail: detail}
}

// signatures of what begins with constant bytes. Order does not matter.
var signatures = []struct {
	off   int
	magic string
	kind  kind
}{
	{0, "PK\x03\x04", kind{format: fZip, media: "application/zip"}},
	{0, "PK\x05\x06", kind{format: fZip, media: "application/zip"}},
	{0, "PK\x07\x08", kind{format: fZip, media: "application/zip"}},
	{0, "\x1f\x8b\x08", kind{format: fGzip, media: "application/gzip"}},
	{0, "BZh", kind{format: fBzip2, media: "application/x-bzip2"}},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", kind{format: fOLE2, media: "application/x-ole-storage"}},
	{0, "\x89PNG\r\n\x1a\n", kind{format: fImage, media: "image/png"}},
	{0, "\xff\xd8\xff", kind{format: fImage, media: "image/jpeg"}},
	{0, "GIF87a", kind{format: fImage, media: "image/gif"}},
	{0, "GIF89a", kind{format: fImage, media: "image/gif"}},
	{0, "II*\x00", kind{format: fImage, media: "image/tiff"}},
	{0, "MM\x00*", kind{format: fImage, media: "image/tiff"}},
	{0, "II+\x00", kind{format: fImage, media: "image/tiff"}}, // BigTIFF
	{0, "MM\x00+", kind{format: fImage, media: "image/tiff"}},
	{0, "\xd7\xcd\xc6\x9a", kind{format: fImage, media: mediaWMF}},
	{0, iconMagic, kind{format: fImage, media: "image/vnd.microsoft.icon"}},
	{0, "8BPS", kind{format: fImage, media: "image/vnd.adobe.photoshop"}},
	{40, " EMF", kind{format: fImage, media: mediaEMF}},
	{8, "WEBP", kind{format: fImage, media: "image/webp"}},
	{4, "ftypheic", kind{format: fImage, media: "image/heic"}},
	{4, "ftypheix", kind{format: fImage, media: "image/heic"}},
	{4, "ftypmif1", kind{format: fImage, media: "image/heif"}},
	{4, "ftypavif", kind{format: fImage, media: "image/avif"}},
	{4, "jP  \r\n\x87\n", kind{format: fImage, media: "image/jp2"}},
	{0, "\xff\x4f\xff\x51", kind{format: fImage, media: "image/j2c"}},
	{0, "age-encryption.org/v1", kind{media: "application/x-age", cause: dlp.Encrypted, detail: "age"}},
	{0, "Salted__", kind{media: "application/x-openssl", cause: dlp.Encrypted, detail: "openssl"}},
	{0, rarMagic, kind{format: fRar, media: mediaRar}},
	{0, sevenMagic, kind{format: f7z, media: mediaSeven}},
	{0, xz.Magic, kind{format: fXz, media: "application/x-xz"}},
	{0, "\x28\xb5\x2f\xfd", kind{format: fZstd, media: "application/zstd"}},
	{0, "\x04\x22\x4d\x18", kind{format: fLZ4, media: "application/x-lz4"}},
	{0, "\x02\x21\x4c\x18", kind{format: fLZ4, media: "application/x-lz4"}},
	{0, "\x5d\x00\x00", kind{format: fLZMA, media: "application/x-lzma"}},
	{0, "LZIP\x01", kind{format: fLzip, media: "application/x-lzip"}},
	{0, lzw.Magic, kind{format: fCompress, media: "application/x-compress"}},
	{0, "\xff\x06\x00\x00sNaPpY", kind{format: fSnappy, media: "application/x-snappy-framed"}},
	{0, "070701", kind{format: fCpio, media: "application/x-cpio"}},
	{0, "070702", kind{format: fCpio, media: "application/x-cpio"}},
	{0, "070707", kind{format: fCpio, media: "application/x-cpio"}},
	{0, "\xc7\x71", kind{format: fCpio, media: "application/x-cpio"}},
	{0, "\x71\xc7", kind{format: fCpio, media: "application/x-cpio"}},
	{2, "-lh", binaryKind("application/x-lzh-compressed", "lzh")},
	{2, "-lz", binaryKind("application/x-lzh-compressed", "lzh")},
	{0, "\x60\xea", binaryKind("application/x-arj", "arj")},
	{7, "**ACE**", binaryKind("application/x-ace-compressed", "ace")},
	{0, "\x1a\x02", binaryKind("application/x-arc", "arc")},
	{0, "\x1a\x03", binaryKind("application/x-arc", "arc")},
	{0, "\x1a\x04", binaryKind("application/x-arc", "arc")},
	{0, "\x1a\x08", binaryKind("application/x-arc", "arc")},
	{0, "\x1a\x09", binaryKind("application/x-arc", "arc")},
	{20, "\xdc\xa7\xc4\xfd", binaryKind("application/x-zoo", "zoo")},
	{0, "RE~^", binaryKind("application/vnd.rar", "rar 1")},
	{0, "UC2\x1a", binaryKind("application/x-uc2", "uc2")},
	{0, "\x89LZO\x00\r\n\x1a\n", binaryKind("application/x-lzop", "lzop")},
	{0, "LRZI", binaryKind("application/x-lrzip", "lrzip")},
	{0, "\x1f\x1e", binaryKind("application/x-pack", "pack")},
	{0, "\x1f\xa0", binaryKind("application/x-lzh", "compress -H")},
	{0, "SZDD\x88\xf0\x27\x33", binaryKind("application/x-ms-compress", "ms compress")},
	{0, "KWAJ\x88\xf0\x27\xd1", binaryKind("application/x-ms-compress", "ms compress")},
	{0, "MSWIM\x00\x00\x00", binaryKind("application/x-ms-wim", "wim")},
	{0, "hsqs", binaryKind("application/vnd.squashfs", "squashfs")},
	{0, "xar!\x00", binaryKind("application/x-xar", "xar")},
	{0, "ISc(", binaryKind("application/x-installshield", "installshield cab")},
	{0, rpm.Magic, kind{format: fRPM, media: mediaRPM}},
	{0, "conectix", binaryKind("application/x-vhd", "disk image")},
	{0, "vhdxfile", binaryKind("application/x-vhdx", "disk image")},
	{0, "QFI\xfb", binaryKind("application/x-qcow", "disk image")},
	{0, "KDMV", binaryKind("application/x-vmdk", "disk image")},
	{257, "ustar", kind{format: fTar, media: "application/x-tar"}},
	{0, cab.Magic, kind{format: fCab, media: mediaCab}},
	{0, ar.Magic, kind{format: fAr, media: "application/x-archive"}},
	{0, ar.ThinMagic, kind{format: fAr, media: "application/x-archive"}},
	{0, plist.Magic, kind{format: fPlist, media: mediaPlist}},
	{0, "SQLite format 3\x00", kind{format: fSQLite, media: mediaSQLite}},
	{4, "Standard Jet DB", kind{format: fAccess, media: mediaAccess}},
	{4, "Standard ACE DB", kind{format: fAccess, media: mediaAccess}},
	{0, pst.Magic, kind{format: fPST, media: mediaPST}},
	{0, "\x78\x9f\x3e\x22", kind{format: fTNEF, media: mediaTNEF}},
	{0, "\x76\xe8\x04\x60\xc4\x11\xe3\x86", kind{media: "application/x-microsoft-rpmsg-message", cause: dlp.Encrypted, detail: "outlook rights management"}}, // [MS-OXORMMS] 2.1.4
	{0, parquet.Magic, kind{format: fParquet, media: mediaParquet}},
	{0, parquet.MagicEncrypted, kind{media: mediaParquet, cause: dlp.Encrypted, detail: "parquet"}},
	{0, "\x7fELF", binaryKind("application/x-executable", "executable")},
	{0, "MZ", binaryKind("application/vnd.microsoft.portable-executable", "executable")},
	{0, "OggS", binaryKind("audio/ogg", "audio")},
	{0, "ID3", binaryKind("audio/mpeg", "audio")},
	{4, "ftyp", binaryKind("video/mp4", "video")},
	{0, "RIFF", binaryKind("application/x-riff", "riff")},
	{0, "%!PS", binaryKind("application/postscript", "postscript")},
	{0, chm.Magic, kind{format: fCHM, media: mediaCHM}},
	{0, onenote.Magic, kind{format: fOneNote, media: mediaOneNote}},
	{0, onenote.MagicTOC, kind{format: fOneNote, media: mediaOneNote}},
}

// sniff finds what a leaf is from its first bytes. What a mail declares is
// used only to tell kinds of text apart.
func sniff(head []byte, at place) kind {
	if len(head) == 0 {
		return kind{format: fEmpty}
	}
	if looksDICOM(head) { // first: anything may stand in its preamble
		return kind{format: fDICOM, media: "application/dicom"}
	}
	if iso.Is(head) { // likewise
		return kind{format: fISO, media: mediaISO}
	}
	if k, ok := signature(head); ok {
		return k
	}
	if i := bytes.Index(head[:min(len(head), 1024)], []byte("%PDF-")); i >= 0 { // ISO 32000-1 annex H.3.4.1
		return kind{format: fPDF, media: "application/pdf"}
	}
	if rtf.Is(head) {
		return kind{format: fRTF, media: mediaRTF}
	}
	switch {
	case mac.IsApple(head):
		return kind{format: fApple, media: "application/applefile"}
	case mac.IsBinary(head):
		return kind{format: fMacBinary, media: "application/macbinary"}
	}
	if isCMS(head) {
		return kind{format: fCMS, media: "application/pkcs7-mime"}
	}
	if isOpenPGP(head) {
		return kind{media: "application/pgp-encrypted", cause: dlp.Encrypted, detail: "openpgp"}
	}
	if xls.Is(head) {
		return kind{format: fBIFF, media: "application/vnd.ms-excel"}
	}
	if dbf.Is(head) {
		return kind{format: fDBF, media: mediaDBF}
	}
	if metafile.IsWMF(head) {
		return kind{format: fImage, media: mediaWMF}
	}
	if isTar(head) {
		return kind{format: fTar, media: "application/x-tar"}
	}
	if isZlib(head, false) {
		return kind{format: fZlib, media: "application/zlib"}
	}
	if k, ok := pixels(head); ok {
		return k
	}
	enc := textEncoding(head, at.charset)
	if enc == "" {
		return binaryKind("application/octet-stream", "binary")
	}
	return sniffText(sample(head, enc), at)
}

const iconMagic = "\x00\x00\x01\x00"

// signature looks for constant bytes. A picture that other formats only
// resemble (an icon's four bytes) must hold more to be one.
func signature(head []byte) (kind, bool) {
	best := -1
	for i, s := range signatures {
		if len(head) >= s.off+len(s.magic) && string(head[s.off:s.off+len(s.magic)]) == s.magic {
			if !archiveHolds(s.magic, head) {
				continue
			}
			if s.magic == "MZ" && (len(head) < 64 || textEncoding(head, "") != "") {
				continue
			}
			if s.magic == "%!PS" || s.magic == "ID3" || s.magic == "RIFF" || s.magic == "OggS" {
				if textEncoding(head, "") != "" && s.magic != "%!PS" {
					continue
				}
			}
			if best < 0 || len(s.magic) > len(signatures[best].magic) {
				best = i
			}
		}
	}
	if best >= 0 {
		return signatures[best].kind, true
	}
	if len(head) >= 26 && head[0] == 'B' && head[1] == 'M' && binary.LittleEndian.Uint32(head[6:]) == 0 { // BITMAPFILEHEADER: reserved words are 0
		return kind{format: fImage, media: "image/bmp"}, true
	}
	return kind{}, false
}

// archiveHolds reports whether what follows a magic that is short, or made of
// letters, is what the format has there.
func archiveHolds(magic string, head []byte) bool {
	at := func(i int) byte {
		if i < len(head) {
			return head[i]
		}
		return 0
	}
	switch magic {
	case "\x5d\x00\x00":
		return isLZMA(head)
	case iconMagic: // the first picture's entry: a zero, its size, and where it is, behind all entries
		return len(head) >= 22 && head[9] == 0 && binary.LittleEndian.Uint32(head[14:]) > 0 &&
			binary.LittleEndian.Uint32(head[18:]) >= 6+16*max(1, uint32(binary.LittleEndian.Uint16(head[4:])))
	case "BZh":
		return len(head) >= 10 && (string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90")
	case "070701", "070702", "070707", "\xc7\x71", "\x71\xc7":
		return cpio.Is(head)
	case lzw.Magic:
		return at(2)&0x60 == 0 && at(2)&0x1f >= 9 && at(2)&0x1f <= 16
	case "-lh", "-lz": // a length, a sum, and the method between dashes
		return at(6) == '-' && (at(5) >= '0' && at(5) <= '9' || at(5) == 'd' || at(5) == 's') && at(20) <= 3
	case "\x60\xea": // the size of the basic header, and then of its first part
		return at(2) > 0 && int(at(3))<<8|int(at(2)) <= 2600 && at(4) >= 30 && at(4) < 64
	case "\x1a\x02", "\x1a\x03", "\x1a\x04", "\x1a\x08", "\x1a\x09": // a method, and a name of at most 12 letters
		name := head[min(2, len(head)):min(15, len(head))]
		n := bytes.IndexByte(name, 0)
		return n > 0 && textEncoding(name[:n], "") != "" && len(head) >= 29
	case parquet.Magic, parquet.MagicEncrypted: // a page's head begins with its kind; some pages look like text
		return at(4) == 0x15 || textEncoding(head, "") == ""
	case "\x1f\x1e", "\x1f\xa0", "UC2\x1a", "RE~^", "hsqs", "LRZI":
		return textEncoding(head, "") == ""
	}
	return true
}

// isTar reports an old tar without magic: its checksum holds.
func isTar(head []byte) bool {
	if len(head) < 512 || head[0] == 0 {
		return false
	}
	want, digits := 0, 0
	for _, c := range head[148:156] {
		if c >= '0' && c <= '7' {
			want, digits = want*8+int(c-'0'), digits+1
		} else if c != ' ' && c != 0 {
			return false
		}
	}
	sum := 8 * int(' ')
	for i, c := range head[:512] {
		if i < 148 || i >= 156 {
			sum += int(c)
		}
	}
	return digits >= 4 && sum == want
}

// isOpenPGP reports a binary OpenPGP message that begins with a session key
// packet: tag 1 version 3 or 6, tag 3 version 4 to 6. RFC 9580 4.2, 5.1, 5.3.
func isOpenPGP(head []byte) bool {
	if len(head) < 8 || head[0]&0x80 == 0 {
		return false
	}
	var tag, skip int
	if head[0]&0x40 != 0 { // OpenPGP format
		tag, skip = int(head[0]&0x3f), 2
		if head[1] >= 192 {
			skip = 3
		}
	} else {
		tag, skip = int(head[0]>>2&0xf), 2+int(head[0]&3)
		if head[0]&3 == 2 {
			skip = 5
		}
		if head[0]&3 == 3 {
			return false
		}
	}
	v := head[skip]
	switch tag {
	case 1:
		algo := byte(0)
		if v == 3 && len(head) > skip+9 {
			algo = head[skip+9]
		}
		return v == 3 && (algo >= 1 && algo <= 3 || algo >= 16 && algo <= 26)
	case 3:
		return (v == 4 || v == 5 || v == 6) && head[skip+1] >= 1 && head[skip+1] <= 13
	}
	return false
}

// sniffText tells kinds of text apart. s is UTF-8, its last line may be cut.
func sniffText(s string, at place) kind {
	s = strings.TrimPrefix(s, "\ufeff")
	t := strings.TrimLeft(s, " \t\r\n")
	low := strings.ToLower(t[:min(len(t), 1024)])
	switch {
	case at.media == "text/html" || at.media == "application/xhtml+xml" || strings.HasPrefix(at.media, "text/x-amp"),
		at.media == "text/enriched" || at.media == "text/richtext": // RFC 1896, RFC 1341: tags that are not shown, too
		return kind{format: fHTML, media: "text/html"}
	case strings.Contains(low, "<svg") && (strings.HasPrefix(low, "<svg") || strings.HasPrefix(low, "<?xml") || strings.HasPrefix(low, "<!doctype svg")):
		return kind{format: fSVG, media: "image/svg+xml"}
	case looksHTML(low):
		return kind{format: fHTML, media: "text/html"}
	case mac.IsBinHex([]byte(t[:min(len(t), 64)])):
		return kind{format: fBinHex, media: mediaBinHex}
	case vocabularyOf(t) != nil || strings.HasPrefix(low, "<?xml") || strings.HasPrefix(low, "<") && strings.HasSuffix(strings.TrimRight(low, " \t\r\n"), ">") && strings.Contains(low, "</"):
		return kind{format: fText, media: "application/xml"}
	case strings.HasPrefix(t, "-----BEGIN PGP MESSAGE") || strings.HasPrefix(t, "-----BEGIN AGE ENCRYPTED FILE"):
		return kind{format: fText, media: "text/plain"} // text tells of the armour it holds
	}
	declaredText := at.mail && strings.HasPrefix(at.media, "text/")
	if !declaredText {
		if strings.HasPrefix(s, "From ") && looksMail(afterLine(s)) {
			return kind{format: fMbox, media: "application/mbox"}
		}
		if looksMail(s) {
			return kind{format: fMail, media: "message/rfc822"}
		}
	}
	switch {
	case looksHL7(t):
		return kind{format: fText, media: mediaHL7}
	case looksX12(t):
		return kind{format: fText, media: mediaX12}
	case looksJSON(t) && strings.ContainsAny(t[:min(len(t), 256)], `":`):
		return kind{format: fText, media: mediaJSON}
	}
	if delim, header, title, ok := sniffCSV(s); ok {
		k := kind{format: fCSV, media: "text/csv", delim: delim, header: header, title: title}
		if delim == '\t' {
			k.media = "text/tab-separated-values"
		}
		return k
	}
	return kind{format: fText, media: "text/plain"}
}

// looksJSON reports text that begins as a JSON object or array does: behind the
// bracket stands a name, a value or the other bracket. RFC 8259 2, 4, 5. TOML
// ([table]) and logs ([INFO], [2026-...]) do not.
func looksJSON(t string) bool {
	if t == "" || t[0] != '{' && t[0] != '[' {
		return false
	}
	in := strings.TrimLeft(t[1:], " \t\r\n")
	if in == "" {
		return false
	}
	if t[0] == '{' {
		if in[0] == '}' {
			return endsLine(in[1:])
		}
		// A string and a colon, or as much of them as is here.
		rest, ok := afterString(in)
		rest = strings.TrimLeft(rest, " \t\r\n")
		return ok && (rest == "" || rest[0] == ':')
	}
	for range 64 { // brackets within brackets
		if in = strings.TrimLeft(in, " \t\r\n"); in == "" || in[0] != '[' {
			break
		}
		in = in[1:]
	}
	switch {
	case in == "":
		return false
	case in[0] == ']':
		return endsLine(in[1:])
	case in[0] == '{':
		return looksJSON(in)
	case in[0] == '"':
		rest, ok := afterString(in)
		return ok && endsValue(rest)
	}
	n := strings.IndexFunc(in, func(r rune) bool { return !strings.ContainsRune("+-.0123456789Eaeflnrstu", r) })
	if n < 0 {
		n = len(in)
	}
	return json.Valid([]byte(in[:n])) && endsValue(in[n:])
}

// afterString returns what stands behind the JSON string that s begins with, ""
// where it goes on past s.
func afterString(s string) (rest string, ok bool) {
	if s[0] != '"' {
		return "", false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[i+1:], true
		case '\n', '\r':
			return "", false // RFC 8259 7: control characters are escaped
		}
	}
	return "", true
}

// endsValue reports whether a value in an array may end in front of s.
func endsValue(s string) bool {
	s = strings.TrimLeft(s, " \t\r\n")
	return s == "" || s[0] == ',' || s[0] == ']' && endsLine(s[1:])
}

// endsLine reports whether behind an array or object nothing stands on its line
// but what may follow it in another: "[1] Smith" is a reference.
func endsLine(s string) bool {
	s = strings.TrimLeft(s, " \t")
	return s == "" || strings.IndexByte("\r\n,]}", s[0]) >= 0
}

func afterLine(s string) string {
	_, rest, _ := strings.Cut(s, "\n")
	return rest
}

// looksHTML reports text that begins as an HTML page does. low is lower case.
func looksHTML(low string) bool {
	for _, p := range []string{"<!doctype html", "<html", "<head", "<body", "<table", "<div", "<p>", "<p ", "<meta", "<style", "<br", "<span", "<font", "<center", "<title", "<h1", "<script"} {
		if strings.HasPrefix(low, p) {
			return true
		}
	}
	for strings.HasPrefix(low, "<!--") {
		_, rest, ok := strings.Cut(low, "-->")
		if !ok {
			return false
		}
		rest = strings.TrimLeft(rest, " \t\r\n")
		if strings.HasPrefix(rest, "<html") || strings.HasPrefix(rest, "<!doctype html") {
			return true
		}
		low = rest
	}
	return strings.HasPrefix(low, "<?xml") && (strings.Contains(low, "<html") || strings.Contains(low, "<!doctype html"))
}

// mailFields are header fields that a message as such has. RFC 5322 3.6.
var mailFields = []string{"from", "to", "subject", "date", "message-id", "received", "return-path", "delivered-to",
	"mime-version", "reply-to", "cc", "content-type", "x-mozilla-status", "dkim-signature", "sender", "in-reply-to"}

// looksMail reports text that begins with at least two different header fields
// of a message, all of its first lines being fields.
func looksMail(s string) bool {
	seen := map[string]bool{}
	first := true
	for range 40 {
		line, rest, more := strings.Cut(s, "\n")
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			break
		}
		if !(line[0] == ' ' || line[0] == '\t') || first {
			name, _, ok := strings.Cut(line, ":")
			if !ok || !isFieldName(strings.TrimRight(name, " \t")) {
				if strings.HasPrefix(line, ">From ") {
					s = rest
					continue
				}
				return len(seen) >= 3 // no blank line before the body
			}
			for _, f := range mailFields {
				if strings.EqualFold(strings.TrimRight(name, " \t"), f) {
					seen[f] = true
				}
			}
		}
		first = false
		if !more {
			break
		}
		s = rest
	}
	return len(seen) >= 2
}
