// Package backup writes a data folder into one encrypted file and brings it
// back.
//
// It promises that what Read accepts is all that Write was given, byte for
// byte: an archive that is cut short, altered or not ended is an error. It
// knows which files of a data folder are to be kept, and nothing of what is in
// them.
package backup
