// Package index holds the site's own patients as keyed tokens, so that a value
// in a text can be matched against them exactly.
//
// What it promises: the files hold no value and nothing that can be turned into
// one without the key, which lies elsewhere; a row of the extract that cannot be
// used is reported by its line and never by its content; a file is whole, of the
// key it is opened with and of a version this package reads, or it is refused;
// memory is bounded by the number of tokens, about 1.2 bytes each, whatever a
// file says of itself; what could not be looked up is an error, never "no".
//
// docs/patient-index.md describes the files.
package index
