package dlp

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration written as "90s", "10m" or "5d" in TOML.
type Duration time.Duration

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// UnmarshalText reads what time.ParseDuration reads, and whole days as "5d".
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if days, err := strconv.ParseUint(n, 10, 16); err == nil {
			*d = Duration(time.Duration(days) * 24 * time.Hour)
			return nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return errors.New(`want a duration such as "90s", "10m" or "5d"`)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes days, else what time.Duration prints without zero units.
func (d Duration) MarshalText() ([]byte, error) {
	const day = 24 * time.Hour
	v := time.Duration(d)
	if v > 0 && v%day == 0 {
		return fmt.Appendf(nil, "%dd", v/day), nil
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return []byte(s), nil
}

// Size is a number of bytes, written as "50MiB", "64KiB" or "1000" in TOML.
type Size int64

var sizeUnits = []struct {
	suffix string
	n      int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1}, {"", 1}}

// UnmarshalText reads a whole number with an optional unit.
func (z *Size) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	for _, u := range sizeUnits {
		num, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(num), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.n {
			break
		}
		*z = Size(n * u.n)
		return nil
	}
	return errors.New(`want a size such as "50MiB" or "64KiB"`)
}

// MarshalText writes the largest binary unit that fits exactly.
func (z Size) MarshalText() ([]byte, error) {
	for _, u := range sizeUnits[:3] {
		if int64(z) >= u.n && int64(z)%u.n == 0 {
			return fmt.Appendf(nil, "%d%s", int64(z)/u.n, u.suffix), nil
		}
	}
	return strconv.AppendInt(nil, int64(z), 10), nil
}
