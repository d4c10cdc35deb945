package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/smtp/milter"
)

// buildMilter makes the mail door for servers that ask.
func (s *server) buildMilter() (err error) {
	s.milter, err = milter.NewServer(s.cfg.Milter, milter.Limits{
		Hostname: s.cfg.SMTP.Hostname, Contact: s.cfg.SMTP.Contact,
		MaxMessageSize: int64(s.cfg.SMTP.MaxMessageSize), MaxRcpts: s.cfg.SMTP.MaxRcpts,
	}, milter.Deps{Handler: s.gateway, Buffers: s.buffers, Log: s.log})
	return err
}

// sockets are the paths of the milter door's own unix sockets, which no service
// manager or predecessor has open. What a run left that was killed is removed:
// nobody can bind in its place otherwise.
func sockets(cfg *config.Config) (paths []string, err error) {
	for _, l := range cfg.Milter.Listen {
		network, path, err := milter.ParseListen(l)
		if err != nil {
			return nil, err
		}
		if network != "unix" {
			continue
		}
		if fi, err := os.Lstat(path); err == nil && fi.Mode().Type() == os.ModeSocket {
			conn, err := net.DialTimeout("unix", path, time.Second)
			if err == nil {
				conn.Close() // somebody listens: what is handed over, or another program
				continue
			}
			if !errors.Is(err, syscall.ECONNREFUSED) {
				continue // binding will say what is wrong
			}
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("milter.listen: remove old socket: %w", err)
			}
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// permit gives sockets the permissions of the configuration. Until then only
// this user can connect, or whom the umask lets.
func permit(cfg *config.Config, paths []string) error {
	mode, err := cfg.Milter.Mode()
	if err != nil {
		return err
	}
	for _, p := range paths {
		if err := os.Chmod(p, mode); err != nil {
			return fmt.Errorf("milter.socket_mode: %w", err)
		}
	}
	return nil
}
