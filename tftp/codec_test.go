package tftp

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The requests are written by hand, after what the clients they name are known
// to send.
var requests = []struct {
	name  string
	bytes string
	want  Request
	err   wireError
}{
	{
		name:  "iPXE",
		bytes: "\x00\x01undionly.kpxe\x00octet\x00blksize\x001432\x00tsize\x000\x00",
		want:  Request{OpRRQ, "undionly.kpxe", Octet, []Option{{"blksize", "1432"}, {"tsize", "0"}}},
	},
	{
		name:  "EDK2 read",
		bytes: "\x00\x01bootx64.efi\x00octet\x00blksize\x001468\x00windowsize\x004\x00",
		want:  Request{OpRRQ, "bootx64.efi", Octet, []Option{{"blksize", "1468"}, {"windowsize", "4"}}},
	},
	{
		name:  "no options, as from a mask ROM",
		bytes: "\x00\x01bootcode.bin\x00octet\x00",
		want:  Request{Op: OpRRQ, Name: "bootcode.bin", Mode: Octet},
	},
	{
		name:  "mode in any case, options keep their spelling",
		bytes: "\x00\x01a\x00OcTeT\x00BlkSize\x00512\x00",
		want:  Request{OpRRQ, "a", Octet, []Option{{"BlkSize", "512"}}},
	},
	{
		name:  "Windows keeps its backslashes",
		bytes: "\x00\x01\\Boot\\BCD\x00octet\x00",
		want:  Request{Op: OpRRQ, Name: `\Boot\BCD`, Mode: Octet},
	},
	{
		name:  "WRQ in netascii",
		bytes: "\x00\x02log\x00netascii\x00",
		want:  Request{Op: OpWRQ, Name: "log", Mode: Netascii},
	},
	{
		name:  "an option without a value at the end is dropped",
		bytes: "\x00\x01a\x00octet\x00tsize\x000\x00blksize\x00",
		want:  Request{OpRRQ, "a", Octet, []Option{{"tsize", "0"}}},
	},
	{
		name:  "zero padding is no option",
		bytes: "\x00\x01a\x00octet\x00\x00\x00\x00\x00\x00",
		want:  Request{Op: OpRRQ, Name: "a", Mode: Octet},
	},
	{
		name:  "the longest name",
		bytes: "\x00\x01" + strings.Repeat("x", 255) + "\x00octet\x00",
		want:  Request{Op: OpRRQ, Name: strings.Repeat("x", 255), Mode: Octet},
	},
	{name: "a name one byte too long", bytes: "\x00\x01" + strings.Repeat("x", 256) + "\x00octet\x00", err: wireNameLength},
	{name: "empty name", bytes: "\x00\x01\x00octet\x00", err: wireMalformed},
	{name: "nothing but the opcode", bytes: "\x00\x01", err: wireMalformed},
	{name: "name without NUL", bytes: "\x00\x01abc", err: wireMalformed},
	{name: "mode without NUL", bytes: "\x00\x01abc\x00octet", err: wireMalformed},
	{name: "no mode", bytes: "\x00\x01abc\x00", err: wireMalformed},
	{name: "option value without NUL", bytes: "\x00\x01abc\x00octet\x00tsize\x000", err: wireMalformed},
	{name: "option name without NUL", bytes: "\x00\x01abc\x00octet\x00tsize", err: wireMalformed},
	{name: "mode mail", bytes: "\x00\x01abc\x00mail\x00", err: wireMode},
	{name: "unknown mode", bytes: "\x00\x01abc\x00binary\x00", err: wireMode},
	{name: "not a request", bytes: "\x00\x04\x00\x01", err: wireMalformed},
	{name: "empty", bytes: "", err: wireMalformed},
}

func TestParseRequest(t *testing.T) {
	t.Parallel()
	for _, c := range requests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseRequest([]byte(c.bytes))
			if c.err != (wireError{}) {
				bad, ok := errors.AsType[*RequestError](err)
				if !ok || (wireError{bad.Code, bad.Text}) != c.err {
					t.Fatalf("got error %v, want %+v", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

var packets = []struct {
	name  string
	bytes string
	want  Packet
	bad   bool
}{
	{name: "ACK", bytes: "\x00\x04\x01\x02", want: Packet{Op: OpACK, Block: 0x102}},
	{name: "ACK with bytes behind it", bytes: "\x00\x04\x00\x01\x00\x00", want: Packet{Op: OpACK, Block: 1}},
	{name: "DATA", bytes: "\x00\x03\xff\xffabc", want: Packet{Op: OpDATA, Block: 65535, Data: []byte("abc")}},
	{name: "empty DATA", bytes: "\x00\x03\x00\x00", want: Packet{Op: OpDATA, Data: []byte{}}},
	{
		name:  "ERROR of EDK2 after a probe",
		bytes: "\x00\x05\x00\x08User aborted the transfer\x00",
		want:  Packet{Op: OpERROR, Code: ErrOptionRefused, Text: "User aborted the transfer"},
	},
	{name: "ERROR without NUL", bytes: "\x00\x05\x00\x00closed", want: Packet{Op: OpERROR, Text: "closed"}},
	{
		name:  "OACK",
		bytes: "\x00\x06tsize\x00123\x00blksize\x001468\x00",
		want:  Packet{Op: OpOACK, Options: []Option{{"tsize", "123"}, {"blksize", "1468"}}},
	},
	{name: "OACK cut short", bytes: "\x00\x06tsize\x00123", bad: true},
	{name: "ACK cut short", bytes: "\x00\x04\x01", bad: true},
	{name: "RRQ", bytes: "\x00\x01abc\x00octet\x00", bad: true},
	{name: "unknown opcode", bytes: "\x00\x07\x00\x00", bad: true},
	{name: "empty", bytes: "", bad: true},
}

func TestParsePacket(t *testing.T) {
	t.Parallel()
	for _, c := range packets {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParsePacket([]byte(c.bytes))
			if (err != nil) != c.bad {
				t.Fatalf("got error %v, want one: %t", err, c.bad)
			}
			if diff := cmp.Diff(c.want, got); err == nil && diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, c := range requests {
		f.Add([]byte(c.bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			return
		}
		again, err := ParseRequest(r.Append(nil))
		if err != nil {
			t.Fatalf("%+v cannot be read back: %v", r, err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		negotiate(r.Options, offer{fits: fitting(1500, false), size: 1})
	})
}

func FuzzParsePacket(f *testing.F) {
	for _, c := range packets {
		f.Add([]byte(c.bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePacket(b)
		if err != nil {
			return
		}
		again, err := ParsePacket(p.Append(nil))
		if err != nil {
			t.Fatalf("%+v cannot be read back: %v", p, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
