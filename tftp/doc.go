// Package tftp serves files over TFTP to firmware, boot loaders and anything
// else that asks: RFC 1350 with the options blksize (RFC 2348), tsize and
// timeout (RFC 2349) and windowsize (RFC 7440).
//
// It has three layers, and each knows only the one below it:
//
//   - codec: bytes to requests, acknowledgements and errors, and back. It
//     accepts what real firmware sends and never panics.
//   - transfer: the state machine of one transfer, from the options of its RRQ
//     to the last ACK. A packet or the passing of time goes in, block numbers
//     and control packets come out. It has no socket, no clock, no goroutine and
//     reads no file.
//   - loop: sockets, timers, file reads and limits ([Server]). There are two.
//     The plain one has a goroutine and a socket for each transfer and runs
//     anywhere. The one for Linux has few sockets: packets come and go in
//     batches, the kernel cuts windows into packets, and what is read of a file
//     is shared by all who ask for the same version of it.
//
// The package knows neither profiles nor directories. It asks an [Opener] for
// every name, and tells what became of each transfer through a [Transfer]
// value. It does not log.
package tftp
