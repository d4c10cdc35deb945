package gateway

// Waiting is how many documents wait for their turn to be read.
func (g *Gateway) Waiting() int {
	g.reading.mu.Lock()
	defer g.reading.mu.Unlock()
	return len(g.reading.hurry) + len(g.reading.waiting)
}

var ReadEnvelope = readEnvelope
