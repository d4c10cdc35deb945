package route

import (
	"fmt"

	"github.com/stanch-dlp/stanch/smtp"
)

// What a Router remembers at most.
const (
	MaxPlans   = maxPlans
	MaxClients = maxClients
)

// Known is how many destinations and hosts r remembers.
func (r *Router) Known() (plans, clients int) {
	t := r.table.Load()
	t.plans.mu.Lock()
	defer t.plans.mu.Unlock()
	t.clients.mu.Lock()
	defer t.clients.mu.Unlock()
	return len(t.plans.all), len(t.clients.byKey)
}

// Fill has r remember n destinations, and use n hosts, that nobody asks for.
func (r *Router) Fill(n int) {
	t := r.table.Load()
	for i := range n {
		name := fmt.Sprintf("filler %d", i)
		t.clients.get(name, name, t.work, func() *smtp.Client { return smtp.NewClient(smtp.ClientConfig{}) })
		t.plans.mu.Lock()
		t.plans.all[name] = &plan{ready: make(chan struct{})}
		t.plans.mu.Unlock()
	}
}
