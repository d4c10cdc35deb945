package synth

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
)

// Logo draws the clinic's sign, a cross on a green disc, as a PNG of 96 by 96
// pixels and under 4 KiB.
func Logo() []byte {
	const size, radius = 96, 46
	img := image.NewPaletted(image.Rect(0, 0, size, size), color.Palette{
		color.White, color.RGBA{R: 0x1b, G: 0x7a, B: 0x5a, A: 0xff},
	})
	for y := range size {
		for x := range size {
			dx, dy := x-size/2, y-size/2
			disc := dx*dx+dy*dy <= radius*radius
			cross := (dx > -9 && dx < 9 && dy > -28 && dy < 28) || (dy > -9 && dy < 9 && dx > -28 && dx < 28)
			if disc && !cross {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	var b bytes.Buffer
	must(png.Encode(&b, img))
	return b.Bytes()
}
