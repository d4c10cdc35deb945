package portal

import (
	"io"
	"net/http"
	"time"
)

// ReplyWithin is how long a reply may take at most.
const ReplyWithin = replyWithin

// Paced is the body of a reply that began then.
func Paced(body io.ReadCloser, w http.ResponseWriter, began time.Time) io.ReadCloser {
	return &paced{ReadCloser: body, rc: http.NewResponseController(w), began: began}
}
