package doctor

// What the clocks are judged by.
const (
	MostSlew  = mostSlew
	MostAhead = mostAhead
)

// ClockMoved says how the wall clock ran beside the monotonic one.
var ClockMoved = clockMoved
