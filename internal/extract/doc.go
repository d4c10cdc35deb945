// Package extract reads a Document in a child process that may break, and
// tells what the child read as Parts and what nobody could read as Gaps.
//
// It promises that a parser which hangs, swells or crashes costs the part it
// was reading and nothing else: the child is killed, that part is a Gap
// (timeout, too_large, crashed), and a fresh child reads the rest. No part is
// delivered twice. What cannot be read is always told; nothing is left out in
// silence. Bytes of a document are never parsed in this process.
package extract
