// Package scanner finds in text what a patterns.Set describes: text and Set to
// Findings.
//
// It promises the same findings however a part's text is cut into windows, time
// linear in the text and in the number of candidates, memory bounded by the
// window and the number of findings, and a Gap where it stopped looking. One
// forward pass over normalised text finds candidates of all patterns by the
// bytes they can begin with; each candidate is proved by its expression, its
// boundary and its validator, and weighed by the words and fields around it.
package scanner
