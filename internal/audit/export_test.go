package audit

import "context"

// File is what a test puts in between to make it fail.
type File = file

// OpenOS opens a real file.
func OpenOS(path string) (File, error) { return openOS(path) }

// OpenWith is Open on other files.
func OpenWith(ctx context.Context, opt Options, open func(path string) (File, error)) (*Log, []Pending, error) {
	return openWith(ctx, opt, open)
}

// Head layout, for tests that damage it.
const SlotSize = slotSize
