package formats

import (
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/extract/rpm"
)

const mediaRPM = "application/x-rpm"

// rpm reads a package: the words of its header, and its payload as a file.
func (j *job) rpm(at place, b []byte) error {
	j.part(at, mediaRPM)
	p, err := rpm.Read(b)
	for _, s := range p.Words {
		j.out.writeString(decodeText([]byte(s), "") + "\n")
	}
	if len(p.Payload) > 0 {
		if err := j.slice(at.inside("1"), p.Payload); err != nil {
			return err
		}
	}
	if err != nil {
		return gapOf(dlp.Corrupt, "rpm")
	}
	return nil
}
