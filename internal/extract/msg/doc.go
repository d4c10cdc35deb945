// Package msg reads Outlook's .msg files: properties in a compound file.
//
// It reads the properties of one message at a time; attachments and messages
// within are read when they are asked for.
//
// Source: [MS-OXMSG].
package msg
