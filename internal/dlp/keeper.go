package dlp

import "context"

// Keeper is an Onward whose other side has the message already and only asks
// what to do with it, as a mail server asks a milter. Exactly one of Send, Keep
// and Reset ends it: Send has the other side take a changed message in place of
// its own, Reset leaves the message to whoever calls.
type Keeper interface {
	Onward

	// Keep has the other side go on with the message as it has it, for all
	// recipients but those of drop, with header put in front. The reply is
	// positive, or says why this cannot be; an error means that the other side
	// was lost. Whether it then keeps the message is its own affair: when it
	// does not, its client sends again.
	Keep(ctx context.Context, header []byte, drop []Address) (Reply, error)

	// CanDrop reports whether Keep can leave rcpts out.
	CanDrop(rcpts []Address) bool
}
