package load

import (
	"strings"
	"testing"

	"netbootd/tftp"
)

// A step is a packet from the server and what the client answers.
type step struct {
	packet tftp.Packet
	reply  reply
	block  int64 // of an ACK
}

func oack(pairs ...string) tftp.Packet {
	p := tftp.Packet{Op: tftp.OpOACK}
	for i := 0; i < len(pairs); i += 2 {
		p.Options = append(p.Options, tftp.Option{Name: pairs[i], Value: pairs[i+1]})
	}
	return p
}

func TestTransferAnswers(t *testing.T) {
	t.Parallel()
	pattern := NewPattern()
	// data is block n of a file of 1000 bytes.
	data := func(n, blksize int64) tftp.Packet {
		offset := (n - 1) * blksize
		return tftp.Packet{Op: tftp.OpDATA, Block: tftp.BlockNumber(n), Data: pattern.At(offset, int(min(blksize, 1000-offset)))}
	}
	for _, c := range []struct {
		name    string
		window  tftp.Windowsize
		steps   []step
		failure string // part of it; empty if the transfer succeeds
	}{
		{name: "without an OACK blocks have 512 bytes", window: 4, steps: []step{
			{data(1, 512), ack, 1}, {data(2, 512), ack, 2},
		}},
		{name: "a duplicate is acknowledged again", steps: []step{
			{oack("blksize", "400"), ack, 0}, {oack("blksize", "400"), ack, 0},
			{data(1, 400), ack, 1}, {data(1, 400), ack, 1}, {oack("blksize", "400"), silence, 0},
			{data(2, 400), ack, 2}, {data(3, 400), ack, 3},
		}},
		{name: "a window has one ACK, and a gap has one", window: 4, steps: []step{
			{oack("BLKSIZE", "100", "windowsize", "4"), ack, 0},
			{data(1, 100), silence, 0}, {data(2, 100), silence, 0}, {data(3, 100), silence, 0}, {data(4, 100), ack, 4},
			{data(6, 100), ack, 4}, {data(7, 100), silence, 0},
			{data(3, 100), silence, 0}, {data(4, 100), ack, 4},
			{data(5, 100), silence, 0}, {data(6, 100), silence, 0}, {data(7, 100), silence, 0}, {data(8, 100), ack, 8},
			{data(9, 100), silence, 0}, {data(10, 100), silence, 0}, {data(11, 100), ack, 11},
		}},
		{name: "wrong bytes", failure: "wrong bytes", steps: []step{{data(2, 512), ack, 0}, {tftp.Packet{Op: tftp.OpDATA, Block: 1, Data: pattern.At(1, 512)}, silence, 0}}},
		{name: "a short file", failure: "500 bytes", steps: []step{{tftp.Packet{Op: tftp.OpDATA, Block: 1, Data: pattern.At(0, 500)}, ack, 1}}},
		{name: "more than was asked for", failure: "OACK", steps: []step{{oack("blksize", "513"), silence, 0}}},
		{name: "an option that was not asked for", failure: "OACK", steps: []step{{oack("windowsize", "2"), silence, 0}}},
		{name: "an ERROR", failure: `ERROR 3 "busy"`, steps: []step{{tftp.Packet{Op: tftp.OpERROR, Code: 3, Text: "busy"}, silence, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tr := newTransfer(&Job{Size: 1000, Blksize: 512, Windowsize: c.window}, pattern)
			for i, s := range c.steps {
				if got := tr.receive(s.packet.Append(nil)); got != s.reply || got == ack && tr.acked != s.block {
					t.Fatalf("packet %d: got reply %d of block %d, want %d of block %d", i, got, tr.acked, s.reply, s.block)
				}
			}
			if tr.state != done {
				t.Error("the transfer is not done")
			}
			if (tr.failure == "") != (c.failure == "") || !strings.Contains(tr.failure, c.failure) {
				t.Errorf("got failure %q, want %q", tr.failure, c.failure)
			}
		})
	}
}

func TestTransferSendsAgain(t *testing.T) {
	t.Parallel()
	tr := newTransfer(&Job{Size: 1000, Blksize: 512}, NewPattern())
	if got := tr.timeout(); got != request {
		t.Errorf("before any answer: got reply %d, want the RRQ", got)
	}
	tr.receive(oack("blksize", "512").Append(nil))
	if got := tr.timeout(); got != ack || tr.acked != 0 {
		t.Errorf("after the OACK: got reply %d of block %d, want ACK 0", got, tr.acked)
	}
}
