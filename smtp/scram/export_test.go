package scram

// SetNonce makes the exchange the one of a test vector.
func (c *Client) SetNonce(nonce string) { c.nonce = nonce }

// SetNonce makes the exchange the one of a test vector.
func (s *Server) SetNonce(nonce string) { s.nonce = nonce }
