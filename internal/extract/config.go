package extract

import (
	"runtime"
	"time"

	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/wire"
)

// Config bounds the children and what a document may unpack into.
type Config struct {
	// Workers is how many documents are read at the same time, each in a child
	// process of its own. 0: as many as there are processors, at most 4.
	Workers int `toml:"workers"`
	// PDFWorkers is how many documents with a PDF are read at the same time, in
	// children of their own beside Workers. 0: half as many as Workers, at least 1.
	PDFWorkers int `toml:"pdf_workers"`
	// Sandbox says how the children must be locked in: "required" starts nothing
	// without landlock and a filter of system calls; "partial" makes do with one of
	// them, where the kernel has no other; "off" locks nothing, so that a parser that
	// is taken over has all rights of this user.
	Sandbox string `toml:"sandbox"`
	// Queue is how many documents may wait for a child; one more is an error.
	Queue int `toml:"queue"`
	// PartTimeout is how long one part may take; past it the part is a gap.
	PartTimeout dlp.Duration `toml:"part_timeout"`
	// PDFTimeout is how long one PDF may take.
	PDFTimeout dlp.Duration `toml:"pdf_timeout"`
	// DocumentTimeout is how long a whole document may take; past it the rest
	// is a gap. Plain text counts for as long as nothing of it comes.
	DocumentTimeout dlp.Duration `toml:"document_timeout"`
	// MaxMemory is how much resident memory a child may use; past it the part
	// it was reading is a gap.
	MaxMemory dlp.Size `toml:"max_memory"`
	// RecycleDocuments is after how many documents a child is replaced.
	RecycleDocuments int `toml:"recycle_documents"`
	// RecycleMemory is the resident size past which an idle child is replaced.
	RecycleMemory dlp.Size `toml:"recycle_memory"`
	// MaxRestarts is how many broken parts of one document are stepped over
	// before its rest is a gap.
	MaxRestarts int `toml:"max_restarts"`
	// MaxDepth is how many containers may stand within one another.
	MaxDepth int `toml:"max_depth"`
	// MaxMembers is how many parts, archive members and embedded files one
	// document may have.
	MaxMembers int `toml:"max_members"`
	// MaxUnpacked is how many bytes one document may unpack to.
	MaxUnpacked dlp.Size `toml:"max_unpacked"`
	// MaxHeld is how many bytes of one document a child holds at a time, where
	// a format needs all of it at hand. Plain text has no such bound.
	MaxHeld dlp.Size `toml:"max_held"`
	// MaxRatio is how many bytes one packed byte may unpack to, once 16 MiB
	// have come out of a member.
	MaxRatio int `toml:"max_ratio"`
	// TrustBurnedIn takes a DICOM file's word that no text is burnt into its pixels
	// (Burned In Annotation is NO, and the picture an original of the detector). Whoever
	// sends the file can write that word; else its pixels are a gap, as a photograph is.
	TrustBurnedIn bool `toml:"trust_burned_in"`
	// OCR is about the words in pictures.
	OCR OCR `toml:"ocr"`
	// PasswordsFile holds passwords that encrypted files are tried with, one
	// a line, beside those that mails name; only its owner may read it. A reload
	// reads it again.
	PasswordsFile string `toml:"passwords_file"`
	// PasswordTries is how many passwords one encrypted file is tried with. 0: none,
	// and what mails name is not kept for others.
	PasswordTries int `toml:"password_tries"`
	// MaxPasswordTries is how many wrong passwords are tried in one document.
	MaxPasswordTries int `toml:"max_password_tries"`
}

// Default returns the configuration of a gateway for ordinary mail.
func Default() Config {
	return Config{
		Workers:          min(runtime.NumCPU(), 4),
		Sandbox:          SandboxRequired,
		Queue:            1024,
		PartTimeout:      dlp.Duration(10 * time.Second),
		PDFTimeout:       dlp.Duration(60 * time.Second),
		DocumentTimeout:  dlp.Duration(5 * time.Minute),
		MaxMemory:        384 << 20,
		RecycleDocuments: 200,
		RecycleMemory:    256 << 20,
		MaxRestarts:      4,
		MaxDepth:         32,
		MaxMembers:       10000,
		MaxUnpacked:      512 << 20,
		MaxHeld:          128 << 20,
		MaxRatio:         250,
		PasswordTries:    50,
		MaxPasswordTries: 200,
		OCR:              defaultOCR(),
	}
}

// Validate reports the first key that cannot be used, as a *dlp.KeyError.
func (c *Config) Validate() error {
	for _, k := range []struct {
		key  string
		ok   bool
		want string
	}{
		{"workers", c.Workers >= 0 && c.Workers <= 256, "a number from 0 to 256"},
		{"pdf_workers", c.PDFWorkers >= 0 && c.PDFWorkers <= 256, "a number from 0 to 256"},
		{"sandbox", c.Sandbox == "" || c.Sandbox == SandboxRequired || c.Sandbox == SandboxPartial || c.Sandbox == SandboxOff,
			`"required", "partial" or "off"`},
		{"queue", c.Queue >= 1, "a number of at least 1"},
		{"part_timeout", c.PartTimeout > 0, `a duration such as "10s"`},
		{"pdf_timeout", c.PDFTimeout > 0, `a duration such as "60s"`},
		{"document_timeout", c.DocumentTimeout > 0, `a duration such as "5m"`},
		{"max_memory", c.MaxMemory >= 64<<20, "a size of at least 64MiB"},
		{"recycle_documents", c.RecycleDocuments >= 1, "a number of at least 1"},
		{"recycle_memory", c.RecycleMemory >= 64<<20, "a size of at least 64MiB"},
		{"max_restarts", c.MaxRestarts >= 0 && c.MaxRestarts <= 100, "a number from 0 to 100"},
		{"max_depth", c.MaxDepth >= 1 && c.MaxDepth <= 100, "a number from 1 to 100"},
		{"max_members", c.MaxMembers >= 1 && c.MaxMembers <= wire.MaxSkips, "a number from 1 to 100000"},
		{"max_unpacked", c.MaxUnpacked >= 1<<20, "a size of at least 1MiB"},
		{"max_held", c.MaxHeld >= 1<<20, "a size of at least 1MiB"},
		{"max_ratio", c.MaxRatio >= 2, "a number of at least 2"},
		{"password_tries", c.PasswordTries >= 0 && c.PasswordTries <= wire.MaxPasswords, "a number from 0 to 1000"},
		{"max_password_tries", c.MaxPasswordTries >= 0 && c.MaxPasswordTries <= 100000, "a number from 0 to 100000"},
	} {
		if !k.ok {
			return &dlp.KeyError{Key: "extract." + k.key, Want: k.want}
		}
	}
	return c.OCR.validate()
}

// Children is how many documents are read at the same time: Workers, or what
// it stands for when it is 0.
func (c *Config) Children() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return min(runtime.NumCPU(), 4)
}

// PDFChildren is how many documents with a PDF are read at the same time.
func (c *Config) PDFChildren() int {
	if c.PDFWorkers > 0 {
		return c.PDFWorkers
	}
	return max(1, c.Children()/2)
}

func (c *Config) limits() wire.Limits {
	return wire.Limits{Depth: c.MaxDepth, Members: c.MaxMembers, Decoded: int64(c.MaxUnpacked),
		Memory: int64(c.MaxHeld), Ratio: int64(c.MaxRatio), Pixels: int64(c.OCR.MaxPixels), Pages: c.OCR.MaxPages}
}
