// Package formats turns the bytes of one document into text, in a child
// process that may be killed at any time.
//
// It promises that what a format holds is either told as text or told as a
// Gap: nothing is passed over in silence. What a thing is, is found from its
// content, never from its name. Every container is bounded in depth, members,
// bytes and ratio by the wire.Limits of the job, and a panic in a parser is a
// Gap (crashed) of the part it was reading.
package formats
