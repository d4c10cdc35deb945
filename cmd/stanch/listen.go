package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/service"
)

// doors lists every address on which the configuration has serve listen. It is
// the one place that knows: sockets that a service manager or a predecessor
// hands over are matched with it, the others are bound.
func doors(cfg *config.Config) []service.Door {
	var ds []service.Door
	for i, d := range cfg.SMTP.AllDoors() { // serve counts on this order
		key := "smtp.listen"
		if n := i - len(cfg.SMTP.Listen); n >= 0 {
			key = fmt.Sprintf("smtp.doors[%d].listen", n)
		}
		ds = append(ds, service.Door{Name: "smtp", Key: key, Addr: d.Listen})
	}
	for _, addr := range cfg.Milter.Listen {
		ds = append(ds, service.Door{Name: "milter", Key: "milter.listen", Addr: strings.TrimPrefix(addr, "inet:")})
	}
	if cfg.Portal.On() {
		ds = append(ds, service.Door{Name: "portal", Key: "portal.listen", Addr: cfg.Portal.Listen})
	}
	if cfg.Sender.On() {
		ds = append(ds, service.Door{Name: "sender", Key: "sender.listen", Addr: cfg.Sender.Listen})
	}
	if cfg.Metrics.Listen != "" {
		ds = append(ds, service.Door{Name: "metrics", Key: "metrics.listen", Addr: cfg.Metrics.Listen})
	}
	if cfg.Console.Listen != "" {
		ds = append(ds, service.Door{Name: "console", Key: "console.listen", Addr: cfg.Console.Listen})
	}
	return ds
}

// handed is what serve was started with beside its arguments.
type handed struct {
	listeners *service.Listeners
	from      *service.Predecessor // who gives way; nil: nobody
	manager   service.Notifier
}

// inherit takes what this process was handed. From then on nothing of it
// passes on to children.
func inherit() (handed, error) {
	ls, from, err := service.Inherit(os.Getenv)
	if err != nil {
		return handed{}, err
	}
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return handed{}, fmt.Errorf("mark inherited handles: %w", err)
	}
	return handed{ls, from, service.Notifier{Socket: os.Getenv("NOTIFY_SOCKET")}}, nil
}

// bind makes all doors' sockets, or none, by the name of the door.
func (s *server) bind(ctx context.Context, cfg *config.Config) error {
	ds := doors(cfg)
	if s.handed.from != nil {
		s.handed.listeners.Keep(ds)
	}
	own, err := sockets(cfg)
	if err != nil {
		return err
	}
	lns, err := s.handed.listeners.Bind(ctx, ds)
	if err != nil {
		return err
	}
	if err := permit(cfg, own); err != nil {
		return err
	}
	s.doors = map[string][]net.Listener{}
	for i, d := range ds {
		s.doors[d.Name] = append(s.doors[d.Name], lns[i])
	}
	return nil
}
