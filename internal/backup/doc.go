// Package backup keeps a data folder as one encrypted file, an archive.
//
// It promises that what Read accepts is all that a Writer was given, byte for
// byte: an archive that is cut short, altered or not ended is an error. It
// knows which files of a data folder are to be kept, and nothing of what is in
// them.
package backup
