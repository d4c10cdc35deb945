// Package safefile writes files that are either whole and on stable storage or
// not there.
//
// It promises that when a call returns nil, content, name and folder are
// synced, and that the text of its errors holds no path: a file's name may be
// PHI.
package safefile
