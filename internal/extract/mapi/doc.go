// Package mapi has the properties in which Outlook and Exchange keep messages,
// as they stand in TNEF and in .msg files.
//
// Sources: [MS-OXCDATA] 2.11 for types, [MS-OXPROPS] for names.
package mapi
