package pst

// Encode encodes a block as a store does.
func Encode(b []byte, crypt byte, bid uint64) {
	if crypt == cryptPermute {
		for i, c := range b {
			b[i] = forth[c]
		}
		return
	}
	f := &File{crypt: crypt, back: back()}
	f.decode(b, bid)
}
