package formats

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"unicode/utf16"
)

const (
	rar4Magic = rarMagic + "\x00"
	rar5Magic = rarMagic + "\x01\x00"

	rarComment = "CMT" // the name of a comment's block
)

// rarBlocks is what the library passes over in an archive.
type rarBlocks struct {
	pw       string
	comments [][]byte // each as an archive with one member
	more     bool     // there are further ones
	old      bool     // a comment of before RAR 3, of the archive or of a member, is there
	rest     []byte   // what stands behind the end
	whole    bool     // all blocks were walked
	costly   bool     // a key takes more rounds than any program writes
}

// mostRounds is the binary logarithm of the rounds that a key of RAR 5 may take: RAR
// writes 15, more is there to keep us busy. Each password is tried at that price.
const mostRounds = 18

// walkRar returns the blocks of an archive that begins b, up to where it is damaged
// or pw does not open its headers.
func walkRar(b []byte, pw string) rarBlocks {
	w := rarBlocks{pw: pw}
	switch {
	case bytes.HasPrefix(b, []byte(rar5Magic)):
		w.walk5(b)
	case bytes.HasPrefix(b, []byte(rar4Magic)):
		w.walk4(b)
	}
	return w
}

// comment keeps a service block that may be a comment, not one that is a recovery
// record or an index, behind magic and first as an archive of its own. A service
// block is laid out as a member's: member gives its header that type.
func (w *rarBlocks) comment(head, data []byte, magic string, first []byte, member func(head []byte)) {
	const most = 4 // programs show one
	if !bytes.Contains(head, []byte(rarComment)) {
		return
	}
	if len(w.comments) == most {
		w.more = true
		return
	}
	head = slices.Clone(head)
	member(head)
	w.comments = append(w.comments, slices.Concat([]byte(magic), first, head, data))
}

// opened returns the first n bytes of a header that is encrypted in blocks at the
// start of p, and what stands behind it; nil where p is too short.
func opened(p, key, iv []byte, n int) (head, behind []byte) {
	whole := (n + aes.BlockSize - 1) / aes.BlockSize * aes.BlockSize
	c, err := aes.NewCipher(key)
	if err != nil || len(p) < whole {
		return nil, nil
	}
	head = make([]byte, whole)
	cipher.NewCBCDecrypter(c, iv).CryptBlocks(head, p[:whole])
	return head[:n], p[whole:]
}

// header5 returns the header at the start of p from its CRC on, where its content
// starts in it, and what stands behind it.
func header5(p, key []byte) (head []byte, start int, behind []byte) {
	first, iv := p, []byte(nil)
	if key != nil {
		if len(p) < aes.BlockSize {
			return nil, 0, nil
		}
		iv, p = p[:aes.BlockSize], p[aes.BlockSize:]
		first, _ = opened(p, key, iv, aes.BlockSize)
	}
	if len(first) < 4 {
		return nil, 0, nil
	}
	size, n := binary.Uvarint(first[4:])
	if n <= 0 || size == 0 || size > uint64(len(p)) || uint64(len(p))-size < uint64(4+n) {
		return nil, 0, nil
	}
	end := 4 + n + int(size)
	if key == nil {
		return p[:end], 4 + n, p[end:]
	}
	head, behind = opened(p, key, iv, end)
	if head == nil || binary.LittleEndian.Uint32(head) != crc32.ChecksumIEEE(head[4:]) {
		return nil, 0, nil // the password is wrong
	}
	return head, 4 + n, behind
}

// uvarints reads numbers at the start of b.
func uvarints(b []byte, into ...*uint64) (rest []byte, ok bool) {
	for _, v := range into {
		n := 0
		if *v, n = binary.Uvarint(b); n <= 0 {
			return nil, false
		}
		b = b[n:]
	}
	return b, true
}

// walk5 walks the blocks of RAR 5: a CRC-32, the header's size, its type, flags,
// the sizes of what follows.
func (w *rarBlocks) walk5(b []byte) {
	const fileBlock, serviceBlock, cryptBlock, endBlock = 2, 3, 4, 5
	const hasExtra, hasData = 1, 2
	first := []byte{0, 0, 0, 0, 3, 1, 0, 0} // of an archive of its own
	binary.LittleEndian.PutUint32(first, crc32.ChecksumIEEE(first[4:]))
	var key []byte
	for p := b[len(rar5Magic):]; len(p) > 0; {
		head, start, behind := header5(p, key)
		if head == nil {
			return
		}
		var kind, flags, extra, data uint64
		rest, ok := uvarints(head[start:], &kind, &flags)
		if ok && flags&hasExtra != 0 {
			rest, ok = uvarints(rest, &extra)
		}
		if ok && flags&hasData != 0 {
			rest, ok = uvarints(rest, &data)
		}
		if !ok || data > uint64(len(behind)) {
			return
		}
		p = behind[data:]
		if kind == fileBlock || kind == serviceBlock {
			w.costly = w.costly || costlyMember(head[start:], extra)
		}
		switch kind {
		case serviceBlock:
			w.comment(head, behind[:data], rar5Magic, first, func(c []byte) {
				c[start] -= serviceBlock - fileBlock
				binary.LittleEndian.PutUint32(c, crc32.ChecksumIEEE(c[4:]))
			})
		case cryptBlock:
			w.costly = costlyKey(rest)
			if key = w.key5(rest); key == nil {
				return
			}
		case endBlock:
			w.rest, w.whole = p, true
			return
		}
	}
}

// key5 returns the key of headers from the block that says how it is made: a
// version, flags, the binary logarithm of the rounds, salt.
func (w *rarBlocks) key5(b []byte) []byte {
	const salt = 16
	var version, flags uint64
	b, ok := uvarints(b, &version, &flags)
	if !ok || w.pw == "" || version != 0 || len(b) < 1+salt || b[0] > mostRounds {
		return nil
	}
	key, err := pbkdf2.Key(sha256.New, w.pw, b[1:1+salt], 1<<b[0], 32)
	if err != nil {
		return nil
	}
	return key
}

// costlyKey reports more rounds than mostRounds in what says how a key is made.
func costlyKey(b []byte) bool {
	var version, flags uint64
	b, ok := uvarints(b, &version, &flags)
	return ok && len(b) > 0 && b[0] > mostRounds
}

// costlyMember looks for the same in the records of extra bytes that end the header
// of a member: each has its size, its type and what it says.
func costlyMember(head []byte, extra uint64) bool {
	const encryption = 1
	if extra > uint64(len(head)) {
		return false
	}
	for b := head[uint64(len(head))-extra:]; len(b) > 0; {
		var size, kind uint64
		rest, ok := uvarints(b, &size)
		if !ok || size > uint64(len(rest)) {
			return false
		}
		b = rest[size:]
		if rest, ok = uvarints(rest[:size], &kind); ok && kind == encryption && costlyKey(rest) {
			return true
		}
	}
	return false
}

// keys4 are the key and the first vector of the headers of RAR 3 and 4 under a salt.
type keys4 struct{ salt, key, iv []byte }

// derive makes them as RAR does: of SHA-1 over 2^18 times the password, the salt
// and a counter, with a byte of the vector at each sixteenth.
func (k *keys4) derive(pw string, salt []byte) {
	const rounds = 1 << 18
	if bytes.Equal(k.salt, salt) {
		return
	}
	var seed []byte
	for _, u := range utf16.Encode([]rune(pw)) {
		seed = binary.LittleEndian.AppendUint16(seed, u)
	}
	seed = append(append(seed, salt...), 0, 0, 0)
	h := sha1.New()
	k.salt, k.iv = slices.Clone(salt), nil
	for i := range rounds {
		n := seed[len(seed)-3:]
		n[0], n[1], n[2] = byte(i), byte(i>>8), byte(i>>16)
		h.Write(seed)
		if i%(rounds/aes.BlockSize) == 0 {
			k.iv = append(k.iv, h.Sum(nil)[sha1.Size-1])
		}
	}
	k.key = h.Sum(nil)[:16]
	for word := range slices.Chunk(k.key, 4) {
		slices.Reverse(word)
	}
}

// header4 returns the header at the start of p and what stands behind it.
func header4(p []byte, pw string, keys *keys4) (head, behind []byte) {
	const salt, least, mainBlock, hasComment = 8, 7, 0x73, 0x2
	first := p
	if keys != nil {
		if len(p) < salt+aes.BlockSize {
			return nil, nil
		}
		keys.derive(pw, p[:salt])
		p = p[salt:]
		first, _ = opened(p, keys.key, keys.iv, aes.BlockSize)
	}
	if len(first) < least {
		return nil, nil
	}
	size := int(binary.LittleEndian.Uint16(first[5:]))
	if first[2] == mainBlock && first[3]&hasComment != 0 {
		size = 13 // the comment's own block counts as part of this one
	}
	switch {
	case size < least || size > len(p):
		return nil, nil
	case keys == nil:
		return p[:size], p[size:]
	}
	head, behind = opened(p, keys.key, keys.iv, size)
	if head == nil || binary.LittleEndian.Uint16(head) != uint16(crc32.ChecksumIEEE(head[2:])) {
		return nil, nil // the password is wrong
	}
	return head, behind
}

// walk4 walks the blocks of RAR 1.5 to 4: sixteen bits of a CRC-32, the type, flags,
// the header's size, and the data's where a flag says so. Archives of before RAR 3 have
// no block of their end: they are told from ones that are cut by nothing.
func (w *rarBlocks) walk4(b []byte) {
	const mainBlock, fileBlock, commentBlock, serviceBlock, endBlock = 0x73, 0x74, 0x75, 0x7a, 0x7b
	const hasComment, hasCrypt, hasFileComment, hasLarge, hasData = 0x2, 0x80, 0x8, 0x100, 0x8000
	first := []byte{0, 0, mainBlock, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0} // of an archive of its own
	binary.LittleEndian.PutUint16(first, uint16(crc32.ChecksumIEEE(first[2:])))
	var keys *keys4
	for p := b[len(rar4Magic):]; len(p) > 0; {
		head, behind := header4(p, w.pw, keys)
		if head == nil {
			return
		}
		kind, flags, data := head[2], binary.LittleEndian.Uint16(head[3:]), uint64(0)
		member := kind == fileBlock || kind == serviceBlock
		if flags&hasData != 0 || member {
			if len(head) < 11 || member && flags&hasLarge != 0 && len(head) < 36 {
				return
			}
			data = uint64(binary.LittleEndian.Uint32(head[7:]))
			if member && flags&hasLarge != 0 {
				data |= uint64(binary.LittleEndian.Uint32(head[32:])) << 32
			}
		}
		if data > uint64(len(behind)) {
			return
		}
		p = behind[data:]
		switch kind {
		case mainBlock:
			w.old = flags&hasComment != 0
			if flags&hasCrypt != 0 {
				if w.pw == "" {
					return
				}
				keys = &keys4{}
			}
		case fileBlock:
			w.old = w.old || flags&hasFileComment != 0
		case commentBlock:
			w.old = true
		case serviceBlock:
			w.comment(head, behind[:data], rar4Magic, first, func(c []byte) {
				c[2] = fileBlock
				binary.LittleEndian.PutUint16(c, uint16(crc32.ChecksumIEEE(c[2:])))
			})
		case endBlock:
			w.rest, w.whole = p, true
			return
		}
	}
}

// isRarVolume reports an archive whose first block says that it is a volume of several.
func isRarVolume(b []byte) bool {
	const volume, mainBlock = 1, 0x73
	switch {
	case bytes.HasPrefix(b, []byte(rar5Magic)):
		head, start, _ := header5(b[len(rar5Magic):], nil)
		var kind, flags, extra, archive uint64
		if head == nil {
			return false
		}
		rest, ok := uvarints(head[start:], &kind, &flags)
		if ok && flags&1 != 0 {
			rest, ok = uvarints(rest, &extra)
		}
		_, has := uvarints(rest, &archive)
		return !ok || kind != 1 || !has || archive&volume != 0 // encrypted headers do not tell
	case bytes.HasPrefix(b, []byte(rar4Magic)):
		head, _ := header4(b[len(rar4Magic):], "", nil)
		return head != nil && head[2] == mainBlock && head[3]&volume != 0
	}
	return false
}
