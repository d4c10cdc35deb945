package extract_test

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// strain makes Go's runtime do what a long life makes it do: threads that come
// and go, loops, collections, memory given back, timers, a fault that is
// recovered from, a stack that grows.
func strain() {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 12 {
		wg.Go(func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			<-start
			time.Sleep(2 * time.Millisecond)
		})
	}
	time.Sleep(5 * time.Millisecond)
	close(start)
	for range 4 {
		kept := make([][]byte, 0, 16)
		for j := range 16 {
			kept = append(kept, make([]byte, 1<<20))
			kept[j][j] = 1
		}
		runtime.GC()
	}
	debug.FreeOSMemory()
	tick := time.NewTicker(time.Millisecond)
	for range 10 {
		<-tick.C
	}
	tick.Stop()
	func() {
		defer func() { _ = recover() }()
		*nowhere() = 1
	}()
	deep(20000)
	wg.Wait()
}

// nowhere is an address that faults.
//
//go:noinline
func nowhere() *int { return nil }

func deep(n int) int {
	var a [512]byte
	a[n%len(a)] = 1
	if n == 0 {
		return int(a[0])
	}
	return deep(n-1) + int(a[1])
}
