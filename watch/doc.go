// Package watch is the file door: it finds the files under the watched roots,
// hands each one that has settled to the gateway, and takes away, replaces or
// puts back what the gateway decides about.
//
// It promises that every regular file under a root is judged once for each
// content and rule set, whether or not the kernel told of it; that a file is
// taken only when it is still what was judged; that no file is ever written
// over or lost, whenever the process dies; that nothing outside a root is read
// or written, whatever symbolic links stand inside; and that no file name goes
// to logs, counters or errors.
package watch
