package tftp

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// maxNameLen is the longest file name accepted, in bytes. RFC 1350 sets none;
// this is the longest that common file systems allow for one element.
const maxNameLen = 255

// Mode is how the bytes of a file are sent (RFC 1350 section 1).
type Mode string

// The modes that this server knows. The third one of RFC 1350, "mail", is
// obsolete and refused.
const (
	Octet    Mode = "octet"
	Netascii Mode = "netascii"
)

// An Option is one option of a request or an OACK (RFC 2347). The name keeps the
// sender's spelling, for some clients compare what comes back byte by byte.
type Option struct {
	Name  string
	Value string
}

// A Request is a RRQ or a WRQ.
type Request struct {
	Op      Opcode   // OpRRQ or OpWRQ
	Name    string   // the file's name: 1 to 255 bytes, any but NUL
	Mode    Mode     // Octet or Netascii, whatever the case in the packet
	Options []Option // in order, known or not, double ones included
}

// A RequestError says why a request cannot be read, and what the client is told.
type RequestError struct {
	Op   Opcode // as in the packet
	Name string // what can be told of the name, at most 255 bytes
	Code ErrorCode
	Text string
}

// Error is the text that the client gets.
func (e *RequestError) Error() string { return e.Text }

// isRequest tells whether b claims to be a RRQ or a WRQ. Nothing else is ever
// answered on the port for requests: an answer to an answer may go on for ever.
func isRequest(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	op := Opcode(binary.BigEndian.Uint16(b))
	return op == OpRRQ || op == OpWRQ
}

// ParseRequest reads a RRQ or WRQ (RFC 1350 section 5, RFC 2347). The error, if
// any, is a *[RequestError]. Mode names are taken in any case. The options are
// not judged here. It never panics.
func ParseRequest(b []byte) (Request, error) {
	if !isRequest(b) {
		return Request{}, &RequestError{Code: wireMalformed.code, Text: wireMalformed.text}
	}
	r := Request{Op: Opcode(binary.BigEndian.Uint16(b))}
	name, rest, named := bytes.Cut(b[2:], []byte{0})
	r.Name = string(name[:min(len(name), maxNameLen)])
	refuse := func(e wireError) (Request, error) {
		return Request{}, &RequestError{Op: r.Op, Name: r.Name, Code: e.code, Text: e.text}
	}
	if !named || len(name) == 0 {
		return refuse(wireMalformed)
	}
	if len(name) > maxNameLen {
		return refuse(wireNameLength)
	}
	mode, rest, found := bytes.Cut(rest, []byte{0})
	if !found {
		return refuse(wireMalformed)
	}
	r.Mode = Mode(strings.ToLower(string(mode)))
	if r.Mode != Octet && r.Mode != Netascii {
		return refuse(wireMode)
	}
	options, ok := parseOptions(rest)
	if !ok {
		return refuse(wireMalformed)
	}
	r.Options = options
	return r, nil
}

// Append appends the request's bytes to b.
func (r Request) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(r.Op))
	b = append(append(b, r.Name...), 0)
	b = append(append(b, r.Mode...), 0)
	return appendOptions(b, r.Options)
}

// parseOptions reads pairs of NUL-terminated strings. A name at the very end
// without a value is dropped like any option that makes no sense, and so are
// pairs without a name, which is what zero padding looks like. ok is false if
// the last string has no NUL: then the packet was cut short.
func parseOptions(b []byte) (options []Option, ok bool) {
	for len(b) > 0 {
		name, rest, found := bytes.Cut(b, []byte{0})
		if !found {
			return nil, false
		}
		if len(rest) == 0 {
			return options, true
		}
		value, rest, found := bytes.Cut(rest, []byte{0})
		if !found {
			return nil, false
		}
		if len(name) > 0 {
			options = append(options, Option{Name: string(name), Value: string(value)})
		}
		b = rest
	}
	return options, true
}

func appendOptions(b []byte, options []Option) []byte {
	for _, o := range options {
		b = append(append(b, o.Name...), 0)
		b = append(append(b, o.Value...), 0)
	}
	return b
}
