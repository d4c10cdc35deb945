// Package rtf reads Rich Text Format: its text, as it is shown and with what is
// hidden, its embedded objects and pictures, the HTML that Outlook wraps in it,
// and its compressed form.
//
// It holds the text of the paragraph at hand, what stands beside the text up to
// 16 MiB, and one object or picture at a time; it does not recurse.
//
// Sources: Rich Text Format Specification 1.9.1; [MS-OXRTFEX]; [MS-OXRTFCP].
package rtf
