package cms

// What programs that write in one go leave behind: a BER value may have lengths
// that are said by their end, and octet strings in pieces. X.690 8.1.3.6, 8.7.3.

// maxDepth is how deep values stand in one another in what is read.
const maxDepth = 32

// definite returns the first value of b with lengths that are said and octet
// strings in one piece, and what stands behind it; false for what is no BER.
func definite(b []byte, depth int) (out, rest []byte, ok bool) {
	if len(b) < 2 || depth > maxDepth || b[0]&0x1f == 0x1f { // a tag of more bytes: CMS has none
		return nil, nil, false
	}
	tag, body := b[0], b[1:]
	n, body, ok := length(body)
	if !ok {
		return nil, nil, false
	}
	constructed := tag&0x20 != 0
	if n >= 0 {
		body, rest = body[:n], body[n:]
	} else if !constructed {
		return nil, nil, false
	}
	if !constructed {
		return append(tlv(tag, len(body)), body...), rest, true
	}
	var inside []byte
	for {
		if n < 0 && len(body) >= 2 && body[0] == 0 && body[1] == 0 {
			rest = body[2:]
			break
		}
		if n >= 0 && len(body) == 0 {
			break
		}
		one, behind, ok := definite(body, depth+1)
		if !ok {
			return nil, nil, false
		}
		if tag == tagOctets|0x20 {
			if one[0] != tagOctets {
				return nil, nil, false
			}
			_, one, _ = length(one[1:]) // as definite wrote it
		}
		inside, body = append(inside, one...), behind
	}
	if tag == tagOctets|0x20 {
		tag = tagOctets
	}
	return append(tlv(tag, len(inside)), inside...), rest, true
}

// length reads a length of what stands in b behind it; -1 for one that is said by
// its end.
func length(b []byte) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	first := b[0]
	b = b[1:]
	switch {
	case first == indefinite:
		return -1, b, true
	case first < 0x80:
		n = int(first)
	default:
		size := int(first & 0x7f)
		if size > 4 || size > len(b) {
			return 0, nil, false
		}
		var long int64
		for _, c := range b[:size] {
			long = long<<8 | int64(c)
		}
		b = b[size:]
		if long > int64(len(b)) {
			return 0, nil, false
		}
		n = int(long)
	}
	return n, b, n <= len(b)
}
