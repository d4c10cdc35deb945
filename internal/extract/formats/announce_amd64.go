//go:build !purego

package formats

import "golang.org/x/sys/cpu"

// vectors tells whether announced looks at 32 bytes at a time.
var vectors = cpu.X86.HasAVX2

// candidateAVX2 returns the first place of text[:n] at which three bytes are of
// sets, n where there is none. n is a multiple of 32, and two bytes follow.
//
//go:noescape
func candidateAVX2(text *byte, n int, sets *[96]byte) int
