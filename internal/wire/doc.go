// Package wire carries documents to an extraction child and what it read of
// them back, as length-prefixed frames over a pair of pipes. What the child has
// told and not yet sent lies in memory that both share.
//
// It promises that no frame is longer than MaxFrame, that decoding allocates
// no more than a small multiple of the frame at hand, and that a frame which
// no encoder of this package can have made is an error (ErrFrame), never a
// panic: the child's side of the pipe is not trusted.
package wire
