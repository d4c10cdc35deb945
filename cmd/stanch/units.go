package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/service"
)

const (
	// servedFile is the configuration that stanch.service serves.
	servedFile = "/etc/stanch/stanch.toml"
	socketUnit = "stanch.socket"
	// systemdWithin is how long systemd may take to answer.
	systemdWithin = 10 * time.Second
)

// socketsAgree reports each address of stanch.socket that is no door's: with
// such a one the service would not start. It says nothing where there is no
// systemd, where it does not answer this user, or where the unit is not used.
func socketsAgree(ctx context.Context, cfg *config.Config) error {
	if cfg.File != servedFile {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, systemdWithin)
	defer cancel()
	// Without systemd, or an answer of it, nothing is printed, and so nothing used.
	out, _ := exec.CommandContext(ctx, "systemctl", "show", "--property=ActiveState,UnitFileState,Listen", socketUnit).Output()
	used, addrs := unitState(string(out))
	if !used {
		return nil
	}
	var errs []error
	for _, addr := range addrs {
		if is, err := service.IsDoor(addr, doors(cfg)); err == nil && !is {
			errs = append(errs, fmt.Errorf("%s: smtp.listen: %s listens on %s, which is no door's: name it here, or change the unit (`systemctl edit %s`)",
				cfg.File, socketUnit, addr, socketUnit))
		}
	}
	return errors.Join(errs...)
}

// unitState reads what systemctl show has printed: whether the unit is, or
// will be, listening, and on which addresses.
func unitState(show string) (used bool, addrs []string) {
	for line := range strings.Lines(show) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ActiveState":
			used = used || value == "active"
		case "UnitFileState":
			used = used || value == "enabled"
		case "Listen": // 127.0.0.1:2525 (Stream), or a path
			if addr, kind, _ := strings.Cut(value, " "); kind == "(Stream)" {
				if strings.HasPrefix(addr, "/") {
					addr = "unix:" + addr
				}
				addrs = append(addrs, addr)
			}
		}
	}
	return used, addrs
}
