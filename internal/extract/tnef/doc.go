// Package tnef reads the Transport Neutral Encapsulation Format, in which
// Outlook and Exchange send what MIME cannot say (winmail.dat).
//
// It does not copy what it reads, and does not recurse: a message within a
// message is bytes until it is asked for.
//
// Source: [MS-OXTNEF].
package tnef
