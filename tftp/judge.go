package tftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// maxRequest is the longest request read, in bytes. RFC 2347 says 512, and
// longer ones exist.
const maxRequest = 2048

// Why there is no place for a transfer.
var (
	errBusy       = errors.New("too many transfers")
	errClientBusy = errors.New("too many transfers of this client")
)

var (
	errReadOnly = errors.New("writing is not allowed")
	errNetwork  = errors.New("clients of this network are not served, and get no answer")
)

// judge reads a request, and begins the report of its transfer. If it is not to be
// served, err says why and refused what the client is told.
func (o *Options) judge(b []byte, d datagram) (t Transfer, r Request, refused wireError, err error) {
	t = Transfer{
		Client: d.from, Local: d.to, Direction: Read,
		Size: -1, Blksize: DefaultBlksize, Windowsize: DefaultWindowsize,
	}
	r, err = ParseRequest(b)
	t.File, t.Direction = r.Name, direction(r.Op)
	if bad, ok := errors.AsType[*RequestError](err); ok {
		t.File, t.Direction = bad.Name, direction(bad.Op)
		refused = wireError{bad.Code, bad.Text}
	}
	if len(o.Allow) > 0 && !o.Allow.Contains(d.from.Addr()) {
		// An answer would go to whomever a forged address belongs to.
		return t, r, wireError{}, errNetwork
	}
	return t, r, refused, err
}

// refuse sends an ERROR from the port for requests, unless it is zero, and reports
// the transfer that is not to be.
func (o *Options) refuse(c *requestConn, d datagram, t Transfer, e wireError, why error) {
	if e.code != 0 {
		if err := c.reply(e.packet(), d); err != nil {
			why = fmt.Errorf("%w; ERROR not sent: %w", why, err)
		}
	}
	t.Result, t.Err = Refused, why
	o.report(t)
}

func direction(op Opcode) Direction {
	if op == OpWRQ {
		return Write
	}
	return Read
}

// refusal tells how a transfer ends because its file was not opened.
func refusal(ctx context.Context, err error) output {
	switch {
	case ctx.Err() != nil:
		return output{fault: wireShutdown, ended: true, result: Failed, err: errShutdown}
	case errors.Is(err, fs.ErrNotExist):
		return output{fault: wireNotFound, ended: true, result: NotFound, err: err}
	case errors.Is(err, fs.ErrPermission):
		return output{fault: wireAccess, ended: true, result: Refused, err: err}
	default:
		return output{fault: wireAccess, ended: true, result: Failed, err: err}
	}
}

// terms settles the options of a request for a file with limits of its own. size
// is what goes on the wire, fits the largest block that needs no fragments.
func (o *Options) terms(r Request, limits Limits, size int64, fits Blksize) terms {
	if r.Mode == Netascii {
		size = -1 // the size told would be another one
	}
	return negotiate(r.Options, o.offer(fits, limits, size))
}

// offer is what the server brings to a negotiation about a file that has limits of
// its own.
func (o *Options) offer(fits Blksize, own Limits, size int64) offer {
	return offer{fits: fits, limits: o.Limits.and(own), size: size, lifetimes: o.lifetimes}
}
