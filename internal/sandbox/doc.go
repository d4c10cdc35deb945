// Package sandbox takes from the running process all that reading bytes in
// memory does not need: files, sockets, processes, executable pages.
//
// It promises that Lock is final and holds for every thread there is and will
// be; that what this kernel or build cannot do is told (State), never assumed;
// and that a call which is not on the list ends the process. Try proves it from
// the inside.
//
// Sources: landlock(7), seccomp(2), prctl(2), setrlimit(2).
package sandbox
