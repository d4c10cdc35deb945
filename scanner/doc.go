// Package scanner finds in text what a patterns.Set describes: text and Set to
// Findings.
//
// It promises the same findings however a part's text is cut into windows, time
// linear in the text and in the number of candidates, memory bounded by the
// window and the number of findings, and a Gap where it stopped looking. One
// pass over normalised text marks the bytes that patterns are looked for from,
// above all the digits; from each an automaton walks back to where matches may
// begin, and one from there forward to where they end, for all patterns at once.
// What matched is proved by its boundary and its validator, and weighed by the
// words and fields around it.
package scanner
