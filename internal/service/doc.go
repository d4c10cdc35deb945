// Package service is stanch's side of a service manager: the sockets that it
// is handed, what it says about itself, and how one stanch gives way to the
// next without closing a socket.
//
// What it promises: a socket that was handed over serves the door whose address
// it has, or the start fails and says which one has none; a process that was
// started to take over begins only when its predecessor has let go of the data
// folder, and one that does not begin leaves the predecessor in charge.
//
// Sources: sd_listen_fds(3), sd_notify(3), systemd.socket(5).
package service
