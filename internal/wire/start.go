package wire

import "encoding/binary"

// Skill is what a child can read. Each has those before it.
type Skill uint8

// The skills.
const (
	Plain Skill = iota // every format but those below
	PDF                // PDF, by pdfium
	OCR                // pictures, by a program that the parent runs

	Skills = iota // how many there are
)

// Start says what a child is to be, before it is given any document.
type Start struct {
	Skill  Skill
	Layers uint8 // sandbox.Layers: how it locks itself in
	Refuse bool  // sandbox.Config.Refuse
	Data   int64 // sandbox.Config.Data
	// Without is sandbox.Config.Without.
	Without string
	// Program is nil, or what the child becomes when it is told OpRun. It reads no
	// document as itself.
	Program *Program
}

// Program is a program that a child becomes, and what that may reach.
type Program struct {
	Path string
	Args []string // from the second on
	Env  []string
	Run  []string // sandbox.Program.Run
	Read []string // sandbox.Program.Read
}

const (
	maxWords = 1024 // in a list of a Program
	maxWord  = 4096 // bytes of each: PATH_MAX
)

// AppendStart appends the encoding of s to b.
func AppendStart(b []byte, s Start) []byte {
	b = append(b, byte(s.Skill), s.Layers, flag(s.Refuse))
	b = binary.AppendUvarint(b, uint64(max(s.Data, 0)))
	b = appendString(b, s.Without, maxDetail)
	b = append(b, flag(s.Program != nil))
	if p := s.Program; p != nil {
		b = appendString(b, p.Path, maxWord)
		for _, list := range [][]string{p.Args, p.Env, p.Run, p.Read} {
			b = binary.AppendUvarint(b, uint64(len(list)))
			for _, w := range list {
				b = appendString(b, w, maxWord)
			}
		}
	}
	return b
}

// DecodeStart is the inverse of AppendStart.
func DecodeStart(b []byte) (Start, error) {
	d := decoder{b: b}
	s := Start{Skill: Skill(d.byte()), Layers: d.byte(), Refuse: d.byte() == 1, Data: d.int(), Without: d.word(maxDetail)}
	if s.Skill >= Skills {
		d.bad = true
	}
	if d.byte() == 1 {
		p := &Program{Path: d.string(maxWord)}
		for _, list := range []*[]string{&p.Args, &p.Env, &p.Run, &p.Read} {
			for range d.count(maxWords, 1) {
				*list = append(*list, d.string(maxWord))
			}
		}
		s.Program = p
	}
	return s, d.end("start")
}

// Ready says how a child has locked itself in.
type Ready struct {
	Landlock int    // ABI version, 0: not
	Seccomp  bool   // its calls are filtered
	Lacks    string // what is not there, and why; constant words
}

const maxLacks = 512

// AppendReady appends the encoding of r to b.
func AppendReady(b []byte, r Ready) []byte {
	b = append(b, byte(max(0, min(r.Landlock, 255))), flag(r.Seccomp))
	return appendString(b, r.Lacks, maxLacks)
}

// DecodeReady is the inverse of AppendReady.
func DecodeReady(b []byte) (Ready, error) {
	d := decoder{b: b}
	r := Ready{Landlock: int(d.byte()), Seccomp: d.byte() == 1, Lacks: d.word(maxLacks)}
	return r, d.end("ready")
}

// AppendSkill appends the encoding of s to b.
func AppendSkill(b []byte, s Skill) []byte { return append(b, byte(s)) }

// DecodeSkill is the inverse of AppendSkill.
func DecodeSkill(b []byte) (Skill, error) {
	d := decoder{b: b}
	s := Skill(d.byte())
	if s >= Skills {
		d.bad = true
	}
	return s, d.end("skill")
}

// Refused begins the words of OpTold where the kernel has refused, and not
// something else failed.
const Refused = "refused: "

// MaxTold is the most that the words of OpTold have, in bytes.
const MaxTold = 256
