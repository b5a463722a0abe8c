package tftp

import (
	"net/netip"
	"time"
)

// Direction tells which way the data of a transfer goes, seen from the client.
type Direction string

// The directions of a transfer.
const (
	Read  Direction = "read"  // RRQ: the client fetches
	Write Direction = "write" // WRQ: the client stores; refused without a [Depot]
)

// Result is how a transfer ended.
type Result string

// The results, a closed set: they are metric labels.
const (
	// Delivered: the client acknowledged the last block, or the last block was
	// sent and the client fell silent (many clients never send the last ACK).
	Delivered Result = "delivered"
	// Probe: the client sent an ERROR right after an OACK that told the size,
	// before it acknowledged any data: it only wanted to know the size.
	Probe Result = "probe"
	// Aborted: the client ended the transfer later with ERROR 0 or 8.
	Aborted Result = "aborted"
	// Failed: the client fell silent, sent another ERROR, or the file could not
	// be read to its end.
	Failed Result = "failed"
	// Refused: a limit, a write to this read-only server, a malformed request,
	// or a name that may not be read.
	Refused Result = "refused"
	// NotFound: there is no file of that name. Loaders probe many names, so this
	// is not a fault by itself.
	NotFound Result = "not_found"
)

// A Transfer describes one transfer that has ended. It is a plain value.
type Transfer struct {
	Node       string         // name of the node that served it
	Time       time.Time      // when it ended
	Client     netip.AddrPort // the client's end (its TID is the port)
	Local      netip.AddrPort // the address and port the request was sent to
	Direction  Direction
	File       string        // the name as requested, before any cleaning
	Label      string        // File.Label of the file that was opened, else empty
	Tag        any           // what a [Tagger] said, else nil
	Size       int64         // size of the file in bytes, -1 if none could be read
	Bytes      int64         // payload acknowledged by the client
	Duration   time.Duration // RRQ received to last ACK, or to giving up
	Blksize    Blksize       // as granted; 512 without the option
	Windowsize Windowsize    // as granted; 1 without the option
	Resent     int64         // DATA packets sent more than once
	Result     Result
	Err        error // why, for people; nil if Delivered or Probe
}
