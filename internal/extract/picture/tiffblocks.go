package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/draw"
	"image/jpeg"
)

// blocks is where a page's strips or tiles lie.
type blocks struct {
	compression, photometric int
	planar, fillOrder        int
	twoWays                  bool // a fax of two-dimensional coding
	rows                     int  // of a strip
	tileW, tileH             int
	at, sizes                []uint32
	tables                   []byte // what JPEG streams share
}

// Tags. TIFF 6.0, sections 8 and 15; Adobe, TIFF Technical Note 2, 1995.
const (
	tagCompression = 259
	tagPhotometric = 262
	tagStrips      = 273
	tagRows        = 278
	tagStripSizes  = 279
	tagPlanar      = 284
	tagTileW       = 322
	tagTileH       = 323
	tagTiles       = 324
	tagTileSizes   = 325
	tagT4Options   = 292
	tagJPEGTables  = 347

	jpegTIFF = 7 // of tagCompression
	rgbTIFF  = 2 // of tagPhotometric
)

// take takes an entry of a directory: its tag, type, count, value and what its
// value field holds.
func (s *blocks) take(b []byte, order binary.ByteOrder, e []byte, value uint32) {
	switch order.Uint16(e) {
	case tagCompression:
		s.compression = int(value)
	case tagPhotometric:
		s.photometric = int(value)
	case tagPlanar:
		s.planar = int(value)
	case tagFillOrder:
		s.fillOrder = int(value)
	case tagT4Options:
		s.twoWays = value&1 != 0
	case tagRows:
		s.rows = int(min(value, 1<<30))
	case tagTileW:
		s.tileW = int(min(value, 1<<30))
	case tagTileH:
		s.tileH = int(min(value, 1<<30))
	case tagStrips, tagTiles:
		if s.at == nil { // each once
			s.at = numbers(b, order, e)
		}
	case tagStripSizes, tagTileSizes:
		if s.sizes == nil {
			s.sizes = numbers(b, order, e)
		}
	case tagJPEGTables:
		at, n := uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[4:]))
		if n > 4 && at+n <= uint64(len(b)) {
			s.tables = b[at : at+n]
		}
	}
}

// numbers returns the values of an entry; none where they are not all there.
func numbers(b []byte, order binary.ByteOrder, e []byte) []uint32 {
	size := uint64(4)
	if order.Uint16(e[2:]) == 3 { // SHORT
		size = 2
	}
	n, in := uint64(order.Uint32(e[4:])), e[8:12]
	if n*size > 4 {
		at := uint64(order.Uint32(in))
		if n > 1<<20 || at+n*size > uint64(len(b)) {
			return nil
		}
		in = b[at:]
	}
	all := make([]uint32, n)
	for i := range all {
		if size == 2 {
			all[i] = uint32(order.Uint16(in[2*i:]))
		} else {
			all[i] = order.Uint32(in[4*i:])
		}
	}
	return all
}

// ours reports a page that is packed as is read here.
func (d *ifd) ours() bool {
	return d.compression == jpegTIFF || d.compression == group3TIFF && !d.twoWays && d.tileW == 0
}

// decode decodes a page whose strips or tiles are JPEG streams, or whose strips
// are a fax.
func (d *ifd) decode(b []byte) (*image.Gray, error) {
	w, h := d.width, d.rows
	if d.tileW > 0 && d.tileH > 0 {
		w, h = d.tileW, d.tileH
	} else if h <= 0 || h > d.height {
		h = d.height
	}
	across := (d.width + w - 1) / w
	n := across * ((d.height + h - 1) / h)
	if d.planar > 1 || len(d.at) < n || len(d.sizes) < n { // planes are never apart where they are packed like this
		return nil, errTIFF
	}
	if n*w*h > 4*d.width*d.height+1<<20 { // tiles fill more than the page at its edges alone
		return nil, ErrTooLarge
	}
	page := image.NewGray(image.Rect(0, 0, d.width, d.height))
	for i := range n {
		from, size := uint64(d.at[i]), uint64(d.sizes[i])
		if from+size > uint64(len(b)) {
			return nil, errTIFF
		}
		var g *image.Gray
		var err error
		if d.compression == jpegTIFF {
			g, err = d.jpeg(b[from:from+size], w, h)
		} else {
			g, err = d.fax(b[from:from+size], w, min(h, d.height-i*h))
		}
		if err != nil {
			return nil, err
		}
		at := image.Pt(i%across*w, i/across*h)
		draw.Draw(page, g.Rect.Add(at).Intersect(image.Rect(at.X, at.Y, at.X+w, at.Y+h)), g, image.Point{}, draw.Src)
	}
	return page, nil
}

// jpeg decodes one strip or tile of w by h pixels at most, but for what fills the
// last units of its coding.
func (d *ifd) jpeg(b []byte, w, h int) (*image.Gray, error) {
	const unit = 32 // pixels of the largest
	if t := d.tables; len(t) > 4 && len(b) > 2 {
		b = append(bytes.Clone(t[:len(t)-2]), b[2:]...) // without the tables' end and the stream's start
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(b))
	if err != nil || c.Width > w+unit || c.Height > h+unit {
		return nil, errTIFF
	}
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	y, ok := m.(*image.YCbCr)
	if !ok || d.photometric != rgbTIFF {
		return Gray(m), nil
	}
	size := y.Rect.Size() // its three planes are red, green and blue
	g := image.NewGray(image.Rect(0, 0, size.X, size.Y))
	for row := range size.Y {
		for x := range size.X {
			i, j := y.YOffset(x+y.Rect.Min.X, row+y.Rect.Min.Y), y.COffset(x+y.Rect.Min.X, row+y.Rect.Min.Y)
			g.Pix[row*g.Stride+x] = byte(luma(y.Y[i], y.Cb[j], y.Cr[j]))
		}
	}
	return g, nil
}
