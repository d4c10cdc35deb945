package extract_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/dlp"
)

// TestPDFBeside holds that titles of bookmarks, which may go round, and the addresses of
// links are read.
func TestPDFBeside(t *testing.T) {
	p := newPool(t, nil)
	got := get(t, p, dlp.File, []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/Outlines 5 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"+
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Annots[8 0 R 9 0 R]>>endobj\n"+
		"5 0 obj<</Type/Outlines/First 6 0 R/Last 7 0 R/Count 2>>endobj\n"+
		"6 0 obj<</Title(MRN 1234567)/Parent 5 0 R/Next 7 0 R/First 10 0 R/Last 10 0 R/Count 1>>endobj\n"+
		"7 0 obj<</Title(MRN 2345678)/Parent 5 0 R/Prev 6 0 R>>endobj\n"+
		"8 0 obj<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/Dest[3 0 R/Fit]>>endobj\n"+
		"9 0 obj<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(https://clinic.example/?mrn=3456789)>>>>endobj\n"+
		"10 0 obj<</Title(MRN 4567890)/Parent 6 0 R>>endobj\ntrailer<</Root 1 0 R>>\n"))
	for _, want := range []string{"MRN 1234567\nMRN 2345678\n", "?mrn=3456789\n", "MRN 4567890\n"} {
		if !strings.Contains(got.all(), want) {
			t.Errorf("got %q, want %q in it", got.all(), want)
		}
	}
	if len(got.gaps) > 0 {
		t.Errorf("gaps %q", got.told())
	}
	round := get(t, p, dlp.File, []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/Outlines 5 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"+
		"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]>>endobj\n5 0 obj<</Type/Outlines/First 6 0 R/Last 6 0 R/Count 1>>endobj\n"+
		"6 0 obj<</Title(MRN 1234567)/Parent 5 0 R/First 6 0 R/Next 6 0 R>>endobj\ntrailer<</Root 1 0 R>>\n"))
	if !strings.Contains(round.all(), "MRN 1234567") || !slices.Equal(round.told(), []string{"too_many pdf bookmarks"}) {
		t.Errorf("bookmarks that go round: got %.80q, gaps %q", round.all(), round.told())
	}
}

// TestPDFDrawnText holds that a page without text that draws lines and curves is a
// gap: they may be letters.
func TestPDFDrawnText(t *testing.T) {
	p := newPool(t, nil)
	for draws, want := range map[string][]string{
		strings.Repeat("10 10 m 20 20 l 20 10 l f ", 8): {"image pdf page without text"},
		strings.Repeat("10 10 m 20 20 l S ", 4):         {},
	} {
		got := get(t, p, dlp.File, []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"+
			"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R>>endobj\n4 0 obj<</Length 250>>stream\n"+draws+strings.Repeat(" ", 250-len(draws))+"\nendstream endobj\ntrailer<</Root 1 0 R>>\n"))
		if !slices.Equal(got.told(), want) {
			t.Errorf("%q: gaps %q, want %q", draws[:20], got.told(), want)
		}
	}
}
