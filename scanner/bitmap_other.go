//go:build !amd64 || purego

package scanner

const vectors = false

func markAVX2(*uint64, *byte, int, *[32]byte, uint64) { panic("scanner: no vectors here") }
