// Package cfb reads compound files (OLE2): storages and streams inside one
// file, as legacy Office, Outlook messages and installers are kept.
//
// A file comes from nobody trusted. Opening one costs time and memory in
// proportion to its length: no chain is followed further than the file has
// sectors, no loop twice, and what is read in all is bounded. A damaged file
// gives what can be read of it, with an error beside.
//
// Source: [MS-CFB].
package cfb
