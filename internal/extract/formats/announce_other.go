//go:build !amd64 || purego

package formats

const vectors = false

func candidateAVX2(*byte, int, *[96]byte) int { panic("formats: no vectors here") }
