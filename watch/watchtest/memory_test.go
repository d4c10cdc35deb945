package watchtest_test

import (
	"path/filepath"
	"testing"

	"github.com/stanch-dlp/stanch/watch"
	"github.com/stanch-dlp/stanch/watch/watchtest"
)

func TestMemory(t *testing.T) {
	for _, c := range []struct{ name, file string }{{"in memory", ""}, {"in a file", "state.json"}} {
		t.Run(c.name, func(t *testing.T) {
			watchtest.Run(t, func(t *testing.T) (watch.Store, func() watch.Store) {
				file := c.file
				if file != "" {
					file = filepath.Join(t.TempDir(), file)
				}
				s, err := watchtest.NewMemory(file)
				if err != nil {
					t.Fatal(err)
				}
				return s, func() watch.Store {
					if file == "" {
						return s
					}
					again, err := watchtest.NewMemory(file)
					if err != nil {
						t.Fatal(err)
					}
					return again
				}
			})
		})
	}
}
