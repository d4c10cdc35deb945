package extract

import "github.com/stanch-dlp/stanch/internal/wire"

// lastOf is the share of its documents, one in so many, that a child has still to
// read when the one that takes its place is started. On a busy gateway that is
// twice as long as a start takes, or longer.
const lastOf = 8

// giveBack gives back the place of c, which has read a document; nil: it broke.
// A child that has read enough documents or holds too much memory is replaced:
// nobody waits for it to end, and for the next one to be ready nobody who need
// not.
func (p *Pool) giveBack(skill wire.Skill, c *child) {
	if c == nil {
		p.put(skill, nil)
		return
	}
	c.docs++
	if c.docs%lookEach == 0 {
		c.size = c.resident()
	}
	most := p.cfg.RecycleDocuments
	if c.docs < most && c.size <= int64(p.cfg.RecycleMemory) {
		if c.docs == most-most/lastOf {
			p.startSuccessor(skill, c)
		}
		p.put(skill, c)
		return
	}
	next := c.next
	p.children.Go(func() { c.stop(p.closing, p.within) })
	if next == nil {
		p.put(skill, nil) // who takes the place starts one
		return
	}
	select {
	case n := <-next:
		p.put(skill, n)
	default:
		p.children.Go(func() { p.put(skill, <-next) })
	}
}

// startSuccessor starts the child that is to take c's place.
func (p *Pool) startSuccessor(skill wire.Skill, c *child) {
	next := make(chan *child, 1)
	c.next = next
	p.children.Go(func() {
		n, err := p.spawn(skill)
		if err != nil {
			n = nil // who takes the place tries again, and is told
		}
		next <- n
	})
}

// successor returns the child that takes the place of c, which has ended, once it
// is ready; nil: there is none.
func (c *child) successor() *child {
	if c.next == nil {
		return nil
	}
	return <-c.next
}
