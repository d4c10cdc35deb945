//go:build !purego

package scanner

import "golang.org/x/sys/cpu"

// vectors tells whether marker.mark looks at 64 bytes at a time.
var vectors = cpu.X86.HasAVX2

// markAVX2 sets in dst[:words] a bit for each byte of text[:64*words] that is in
// the set of nibbles or, with wide all ones, not ASCII. words is at least 1.
//
//go:noescape
func markAVX2(dst *uint64, text *byte, words int, nibbles *[32]byte, wide uint64)
