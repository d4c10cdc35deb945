package formats

import (
	"bytes"
)

// Comments that speak to Word, in which Outlook shows mail: what is within one is
// shown there alone, or nowhere but there where the second group is not empty.
var (
	wordComment = expression(`(?is)<!--\[if\b([^\]]{0,200})\]>(-->|<!-- ?-->|<!-->)?(.*?)(?:<!--)?<!\[endif\]-->`)
	wordIsland  = expression(`(?is)<xml\b.*?</xml\s*>`)
	pageTag     = expression(`(?s)<[^>]*>`)
)

// asOutlook returns a page as Outlook shows it: with what comments hold for Word, and
// without what they keep from it; nil where no digit stands in any of that.
func asOutlook(b []byte) []byte {
	if len(b) > maxEncoded || !bytes.Contains(b, []byte("<![")) {
		return nil
	}
	digits := 0
	page := wordComment().ReplaceAllFunc(b, func(m []byte) []byte {
		g := wordComment().FindSubmatch(m)
		not, revealed, content := bytes.Contains(g[1], []byte("!")), len(g[2]) > 0, wordIsland().ReplaceAll(g[3], nil)
		if revealed != not { // shown in both, or in neither
			if revealed {
				return content
			}
			return nil
		}
		digits += digitsIn(pageTag().ReplaceAll(content, nil))
		if revealed {
			return nil
		}
		return content
	})
	if digits == 0 {
		return nil
	}
	return page
}
