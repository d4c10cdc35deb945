// Package arch holds the house rules that a program can check: which package
// may import which, and how a file must look to be read at night.
//
// It reads the source and builds nothing. Each rule returns what breaks it as
// FILE:LINE: what was expected, sorted; nothing in the product imports it.
package arch
