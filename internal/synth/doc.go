// Package synth invents patients and the documents that hold them.
//
// The same seed gives the same people and the same bytes on the same Go
// release. Nobody in it is real: names are made up, numbers that must pass a
// check are generated, phones are 555-0100 to -0199, hosts lie under .example.
// Documents are written by plain writers of our own, so that what reads them
// in a test was not written by the same hand. The certificates of invented
// servers are the one thing that is new each time.
package synth
