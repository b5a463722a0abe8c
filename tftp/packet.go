package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Opcode is the kind of a packet, its first two bytes (RFC 1350 section 5, RFC
// 2347 for OACK).
type Opcode uint16

// The opcodes.
const (
	OpRRQ   Opcode = 1
	OpWRQ   Opcode = 2
	OpDATA  Opcode = 3
	OpACK   Opcode = 4
	OpERROR Opcode = 5
	OpOACK  Opcode = 6
)

// headerLen is the length of what comes before the data in a DATA packet.
const headerLen = 4

var errMalformed = errors.New("malformed packet")

// A Packet is any packet of a running transfer: DATA, ACK, ERROR or OACK.
// Requests have a type of their own, [Request].
type Packet struct {
	Op      Opcode
	Block   BlockNumber // of DATA and ACK
	Data    []byte      // of DATA; it aliases the bytes parsed
	Code    ErrorCode   // of ERROR
	Text    string      // of ERROR, without its NUL
	Options []Option    // of OACK, in order
}

// ParsePacket reads a packet of a running transfer. It takes what real firmware
// sends: bytes after an ACK, an ERROR text without its NUL. Anything else that
// is no DATA, ACK, ERROR or OACK is an error; it never panics.
func ParsePacket(b []byte) (Packet, error) {
	if len(b) < 2 {
		return Packet{}, errMalformed
	}
	p := Packet{Op: Opcode(binary.BigEndian.Uint16(b))}
	if p.Op == OpOACK {
		options, ok := parseOptions(b[2:])
		if !ok {
			return Packet{}, errMalformed
		}
		p.Options = options
		return p, nil
	}
	if len(b) < headerLen {
		return Packet{}, errMalformed
	}
	number := binary.BigEndian.Uint16(b[2:])
	switch p.Op {
	case OpDATA:
		p.Block, p.Data = BlockNumber(number), b[headerLen:]
	case OpACK:
		p.Block = BlockNumber(number)
	case OpERROR:
		text, _, _ := bytes.Cut(b[headerLen:], []byte{0})
		p.Code, p.Text = ErrorCode(number), string(text)
	default:
		return Packet{}, fmt.Errorf("opcode %d: %w", uint16(p.Op), errMalformed)
	}
	return p, nil
}

// Append appends the packet's bytes to b. Fields that its opcode does not have
// are left out.
func (p Packet) Append(b []byte) []byte {
	switch p.Op {
	case OpDATA:
		return append(appendHeader(b, OpDATA, uint16(p.Block)), p.Data...)
	case OpERROR:
		return append(append(appendHeader(b, OpERROR, uint16(p.Code)), p.Text...), 0)
	case OpOACK:
		return appendOptions(binary.BigEndian.AppendUint16(b, uint16(OpOACK)), p.Options)
	default:
		return appendHeader(b, p.Op, uint16(p.Block))
	}
}

func appendHeader(b []byte, op Opcode, number uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, uint16(op)), number)
}

// packet is the ERROR packet of e.
func (e wireError) packet() []byte {
	return Packet{Op: OpERROR, Code: e.code, Text: e.text}.Append(nil)
}
