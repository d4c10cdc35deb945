package rulefile_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/rulefile"
)

// TestProposals: what is proposed waits until somebody decides, once; what is not on
// record is not kept; and what became a version is known though nobody noted it.
func TestProposals(t *testing.T) {
	t.Parallel()
	s := rulefile.Open(t.TempDir())
	ok := func(int) error { return nil }
	fragment := "[[rules]]\nextends = \"us-ssn\"\n"
	p := rulefile.Proposal{By: "user:olga", Why: "order number", Kind: "value", Rule: "us-ssn", Text: fragment}
	full := errors.New("full")
	if _, err := s.Propose(p, func(int) error { return full }); !errors.Is(err, full) {
		t.Errorf("without a record: %v", err)
	}
	if ps, err := s.Proposals(0, 10); err != nil || len(ps) != 0 {
		t.Errorf("kept without a record: %+v, %v", ps, err)
	}
	for want := 1; want <= 2; want++ {
		if n, err := s.Propose(p, ok); err != nil || n != want {
			t.Fatalf("proposal %d: %d, %v", want, n, err)
		}
	}
	got, err := s.Proposal(1)
	if err != nil || got.State != rulefile.Waiting || got.By != "user:olga" || got.Text != fragment {
		t.Errorf("the first: %+v, %v", got, err)
	}
	if joined := got.Joined(""); joined != "schema = 1\n\n"+fragment {
		t.Errorf("joined to nothing: %q", joined)
	}
	if joined := got.Joined("schema = 1\n[[rules]]\nextends = \"dob\"\n\n"); joined != "schema = 1\n[[rules]]\nextends = \"dob\"\n\n"+fragment {
		t.Errorf("joined: %q", joined)
	}
	no := rulefile.Proposal{N: 1, State: rulefile.Declined, Decider: "user:ana", Decided: time.Unix(5, 0).UTC(), Answer: "too wide"}
	if err := s.Decide(no, func() error { return full }); !errors.Is(err, full) {
		t.Errorf("declined without a record: %v", err)
	}
	if err := s.Decide(no, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Decide(no, func() error { return nil }); !errors.Is(err, rulefile.ErrDecided) {
		t.Errorf("declined twice: %v", err)
	}
	if got, err = s.Proposal(1); err != nil || got.State != rulefile.Declined || got.Answer != "too wide" || got.By != "user:olga" || got.Text != fragment {
		t.Errorf("declined: %+v, %v", got, err)
	}
	got.N = 2
	if n, err := s.VersionOf(&got); err != nil || n != 0 {
		t.Errorf("version of one that waits: %d, %v", n, err)
	}
	if _, err := s.Save(rulefile.Digest(""), rulefile.Version{Text: "# of another\n", Proposal: 2}, ok); err != nil {
		t.Fatal(err)
	}
	if n, err := s.VersionOf(&got); err != nil || n != 0 {
		t.Errorf("version of another that had its number: %d, %v", n, err)
	}
	if _, err := s.Save(rulefile.Digest("# of another\n"), rulefile.Version{Text: got.Joined(""), Proposal: 2}, ok); err != nil {
		t.Fatal(err)
	}
	if n, err := s.VersionOf(&got); err != nil || n != 2 {
		t.Errorf("version of one that was saved: %d, %v", n, err)
	}
	if _, err := s.Proposal(3); !errors.Is(err, rulefile.ErrNoProposal) {
		t.Errorf("a proposal that is none: %v", err)
	}
	for range 49 {
		if _, err = s.Propose(p, ok); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = s.Propose(p, ok); !errors.Is(err, rulefile.ErrWaiting) {
		t.Errorf("one more than may wait: %v", err)
	}
}
