// Package smalldisk mounts small file systems for tests of what a full or
// read-only disk does.
package smalldisk

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Mount puts a file system in memory on the folder dir until the test ends.
// flags are of mount(2), options of tmpfs(5), such as "size=4m". It skips the
// test where that is not allowed: it takes root.
func Mount(t testing.TB, dir string, flags uintptr, options string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
