package simulate

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"netbootd/tftp"
)

// A reading is the state machine of one RRQ, from its first packet to the last
// ACK: a packet goes in, and what to send comes out. It has no socket and no
// clock.
type reading struct {
	asked []tftp.Option // as sent
	probe bool          // it asks for the size only
	to    io.Writer     // where the file goes

	blksize    int
	windowsize int
	next       int64 // block expected, from 1
	inWindow   int   // blocks received since the last ACK
	started    bool  // an OACK or DATA came
}

func newReading(asked []tftp.Option, probe bool, to io.Writer) *reading {
	return &reading{asked: asked, probe: probe, to: to, blksize: int(tftp.DefaultBlksize), windowsize: 1, next: 1}
}

// An ending says why a transfer ended without a file.
type ending struct{ text string }

func (e *ending) Error() string { return e.text }

// packet takes in a packet of the server. send, if not nil, is to be sent; done
// tells that nothing more is to come. A probe that learnt the size, or that there
// is none to learn, ends without an error.
func (r *reading) packet(p tftp.Packet) (send []byte, done bool, err error) {
	switch p.Op {
	case tftp.OpERROR:
		return nil, true, &tftp.RemoteError{Code: p.Code, Text: p.Text}
	case tftp.OpOACK:
		return r.oack(p.Options)
	case tftp.OpDATA:
		return r.data(p)
	}
	return nil, false, nil
}

// oack checks what the server grants; firmware ends the transfer if that is more
// than it asked for.
func (r *reading) oack(granted []tftp.Option) (send []byte, done bool, err error) {
	if r.next > 1 {
		return nil, false, nil // it crossed our ACK
	}
	for _, o := range granted {
		if err := r.grant(o); err != nil {
			return abort(err.Error()), true, err
		}
	}
	r.started = true
	if r.probe {
		return abort("User aborted the transfer"), true, nil
	}
	return r.ack(), false, nil
}

// grant takes one option of the OACK.
func (r *reading) grant(o tftp.Option) error {
	i := slices.IndexFunc(r.asked, func(a tftp.Option) bool { return strings.EqualFold(a.Name, o.Name) })
	if i < 0 {
		return &ending{fmt.Sprintf("the option %q was not asked for", o.Name)}
	}
	asked, err := strconv.Atoi(r.asked[i].Value)
	n, errGranted := strconv.Atoi(o.Value)
	tooMuch := &ending{fmt.Sprintf("%s %q was granted and %q asked for", o.Name, o.Value, r.asked[i].Value)}
	if err != nil || errGranted != nil || n < 0 {
		return tooMuch
	}
	switch strings.ToLower(o.Name) {
	case "blksize":
		if n > asked || n < int(tftp.MinBlksize) {
			return tooMuch
		}
		r.blksize = n
	case "windowsize":
		if n > asked || n < 1 {
			return tooMuch
		}
		r.windowsize = n
	case "timeout":
		if n != asked {
			return tooMuch
		}
	}
	return nil
}

// data takes a block. An ACK is due at the end of a window, after the last block,
// and where a block comes out of turn, of what came in turn (RFC 7440 section 4).
func (r *reading) data(p tftp.Packet) (send []byte, done bool, err error) {
	if r.probe {
		return abort("User aborted the transfer"), true, nil // the server knows no options
	}
	r.started = true
	if p.Block != tftp.BlockNumber(r.next&0xffff) {
		return r.ack(), false, nil
	}
	if len(p.Data) > r.blksize {
		err := &ending{fmt.Sprintf("block %d has %d bytes, more than the blksize of %d", r.next, len(p.Data), r.blksize)}
		return abort(err.text), true, err
	}
	if _, err := r.to.Write(p.Data); err != nil {
		return nil, true, err
	}
	r.next++
	r.inWindow++
	switch {
	case len(p.Data) < r.blksize:
		return r.ack(), true, nil
	case r.inWindow == r.windowsize:
		return r.ack(), false, nil
	}
	return nil, false, nil
}

// ack acknowledges the last block that came in turn.
func (r *reading) ack() []byte {
	r.inWindow = 0
	return tftp.Packet{Op: tftp.OpACK, Block: tftp.BlockNumber((r.next - 1) & 0xffff)}.Append(nil)
}

// abort is the ERROR that firmware ends a transfer with.
func abort(text string) []byte {
	return tftp.Packet{Op: tftp.OpERROR, Code: tftp.ErrOptionRefused, Text: text}.Append(nil)
}
