package smtp

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/metrics"
)

const maxForwardLine = 500 // bytes; XFORWARD_README: as long as any command

// forward tells h where the next message comes from, as far as h takes it. What
// h answers matters to nobody but its log.
func (c *Client) forward(ctx context.Context, h *hop, o Origin) error {
	if len(h.forwards) == 0 || o == (Origin{}) {
		return nil
	}
	values := map[string]string{"NAME": o.Name, "ADDR": o.Addr, "PORT": o.Port, "PROTO": o.Proto, "HELO": o.Helo, "IDENT": o.Ident, "SOURCE": o.Source}
	line := ""
	for _, name := range strings.Fields(xforwardNames) {
		if !slices.Contains(h.forwards, name) {
			continue
		}
		v := values[name]
		if v == "" {
			v = unavailable
		}
		pair := " " + name + "=" + encodeXtext(v)
		if len(line)+len(pair) > maxForwardLine {
			if err := c.sendForward(ctx, h, line); err != nil {
				return err
			}
			line = ""
		}
		line += pair
	}
	if line == "" {
		return nil
	}
	return c.sendForward(ctx, h, line)
}

func (c *Client) sendForward(ctx context.Context, h *hop, pairs string) error {
	if _, err := h.command(ctx, c.cfg.CommandTimeout, "XFORWARD"+pairs); err != nil {
		return c.failed(ctx, metrics.StageMail, err)
	}
	return nil
}

// portText is a port as XFORWARD has it.
func portText(p uint16) string { return strconv.FormatUint(uint64(p), 10) }
