package portal

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"sync"
	"time"

	"github.com/stanch-dlp/stanch/internal/buffer"
	"github.com/stanch-dlp/stanch/internal/dlp"
	"github.com/stanch-dlp/stanch/internal/pickup"
)

// Bounds of a reply beside portal.max_reply.
const (
	maxReplyText    = 1 << 20 // bytes
	maxReplySubject = 1 << 10
	maxReplyFiles   = 20
)

var errBadReply = errors.New("portal: not a reply")

// reply takes an answer, which goes to the sender as a mail of its own.
func (s *Server) reply(w http.ResponseWriter, r *http.Request) {
	id := dlp.ID(r.PathValue("id"))
	if !s.open.has(r, id) {
		answer(w, http.StatusUnauthorized, said{Error: "again"})
		return
	}
	if !s.replies.take(id) {
		answer(w, http.StatusServiceUnavailable, said{Error: "wait"})
		return
	}
	defer s.replies.give(id)
	r.Body = &paced{ReadCloser: r.Body, rc: http.NewResponseController(w), began: time.Now()}
	re, done, err := s.readReply(r)
	defer done()
	if err != nil {
		status := http.StatusBadRequest
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			status = http.StatusRequestEntityTooLarge
		}
		answer(w, status, said{Error: "failed"})
		return
	}
	if err := s.desk.ReplyPickup(r.Context(), id, re); err != nil {
		s.refuse(r.Context(), w, err, 0)
		return
	}
	answer(w, http.StatusOK, said{})
}

// slots are the replies that are taken at this moment, one of a message at most: who
// has one link keeps nobody else from answering.
type slots struct {
	mu    sync.Mutex
	taken map[dlp.ID]bool // guarded by mu
}

func (s *slots) take(id dlp.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[id] || len(s.taken) >= maxReplies {
		return false
	}
	s.taken[id] = true
	return true
}

func (s *slots) give(id dlp.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, id)
}

// paced is the body of a reply, which has to come as a slow telephone sends it, with a
// pause here and there, and to end in time.
type paced struct {
	io.ReadCloser
	rc    *http.ResponseController
	began time.Time
	read  int64
}

func (p *paced) Read(b []byte) (int, error) {
	within := min(replyWithin, replyPause+time.Duration(p.read)*time.Second/slowest)
	_ = p.rc.SetReadDeadline(p.began.Add(within)) // without it the usual bound holds
	n, err := p.ReadCloser.Read(b)
	p.read += int64(n)
	return n, err
}

// readReply reads a reply. Its files lie in buffers, which done gives back:
// never in a file in the clear.
func (s *Server) readReply(r *http.Request) (re pickup.Reply, done func(), err error) {
	var held []*buffer.Buffer
	done = func() {
		for _, b := range held {
			_ = b.Close() // memory, and files that have no name
		}
	}
	mr, err := r.MultipartReader()
	if err != nil {
		return re, done, errBadReply
	}
	for {
		p, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return re, done, nil
		}
		if err != nil {
			return re, done, err
		}
		switch {
		case p.FormName() == "subject":
			re.Subject, err = field(p, maxReplySubject)
		case p.FormName() == "text":
			re.Text, err = field(p, maxReplyText)
		case p.FormName() == "file" && p.FileName() != "" && len(held) < maxReplyFiles:
			b := s.buffers.New()
			held = append(held, b)
			if _, err = io.Copy(b, p); err == nil {
				err = b.Done()
			}
			re.Files = append(re.Files, pickup.ReplyFile{Name: p.FileName(), Open: func() (io.ReadCloser, error) { return b.Open() }})
		default:
			err = errBadReply
		}
		if err != nil {
			return re, done, err
		}
	}
}

func field(p *multipart.Part, most int64) (string, error) {
	b, err := io.ReadAll(io.LimitReader(p, most+1))
	if err == nil && int64(len(b)) > most {
		err = errBadReply
	}
	return string(b), err
}
