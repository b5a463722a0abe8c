package tftp_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// What boot programs ask for, byte by byte. Each of them ends the transfer if an
// option comes back that it did not ask for, or in another spelling.
func TestFirmwareRequests(t *testing.T) { onEachLoop(t, testFirmwareRequests) }

func testFirmwareRequests(t *testing.T, listen listener) {
	file := tftptest.Bytes(20_000)
	const size = "20000"
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"file": file}})
	for _, c := range []struct {
		name    string
		asked   []tftp.Option
		granted []tftp.Option // nil: as asked
		// hurry is how often the RRQ is sent again before anything is
		// acknowledged: PXELINUX waits for 0.11 s, GRUB for 0.4 s.
		hurry int
		// again: after each ACK the one before it is sent once more.
		again      bool
		blksize    int
		windowsize int
	}{
		{
			name:    "iPXE",
			asked:   []tftp.Option{option("blksize", "1432"), option("tsize", "0")},
			granted: []tftp.Option{option("blksize", "1432"), option("tsize", size)},
			hurry:   1, blksize: 1432, windowsize: 1,
		},
		{
			name:  "EDK2",
			asked: []tftp.Option{option("blksize", "1468"), option("windowsize", "4")},
			again: true, blksize: 1468, windowsize: 4,
		},
		{
			name:    "U-Boot, with the size of the file before",
			asked:   []tftp.Option{option("timeout", "5"), option("tsize", "77"), option("blksize", "1468"), option("windowsize", "16")},
			granted: []tftp.Option{option("timeout", "5"), option("tsize", size), option("blksize", "1468"), option("windowsize", "16")},
			blksize: 1468, windowsize: 16,
		},
		{
			name:    "PXELINUX",
			asked:   []tftp.Option{option("tsize", "0"), option("blksize", "1408")},
			granted: []tftp.Option{option("tsize", size), option("blksize", "1408")},
			hurry:   4, blksize: 1408, windowsize: 1,
		},
		{
			name:    "GRUB, which never starts without an OACK",
			asked:   []tftp.Option{option("blksize", "1024"), option("tsize", "0")},
			granted: []tftp.Option{option("blksize", "1024"), option("tsize", size)},
			hurry:   2, again: true, blksize: 1024, windowsize: 1,
		},
		{
			name:    "the Windows boot manager",
			asked:   []tftp.Option{option("tsize", "0"), option("blksize", "1456"), option("windowsize", "4")},
			granted: []tftp.Option{option("tsize", size), option("blksize", "1456"), option("windowsize", "4")},
			blksize: 1456, windowsize: 4,
		},
		{name: "a mask ROM without options", hurry: 1, blksize: 512, windowsize: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.granted == nil {
				c.granted = c.asked
			}
			p := s.peer(t)
			p.Ask("file", c.asked...)
			first := p.ExpectAny()
			tid := p.TID()
			for range c.hurry {
				p.Ask("file", c.asked...)
				if got := p.ExpectAny(); got.Op != first.Op || p.TID() != tid {
					t.Fatalf("got opcode %d from %v, want %d from %v once more", got.Op, p.TID(), first.Op, tid)
				}
			}
			var got []byte
			if c.asked == nil {
				got = first.Data
				p.Ack(1)
			} else {
				if diff := cmp.Diff(c.granted, first.Options); diff != "" || first.Op != tftp.OpOACK {
					t.Fatal("OACK (-want +got):\n", diff)
				}
				p.Ack(0)
			}
			got = append(got, readOn(p, len(got)/c.blksize, c.blksize, c.windowsize, c.again)...)
			if !bytes.Equal(got, file) {
				t.Errorf("got %d bytes, or wrong ones", len(got))
			}
			r := s.report(t)
			if r.Result != tftp.Delivered || int(r.Blksize) != c.blksize || int(r.Windowsize) != c.windowsize {
				t.Errorf("got report %+v", r)
			}
		})
	}
}

// readOn reads what follows after some blocks, and acknowledges each window. What
// the server sends twice by its own timer is dropped. If again is set each ACK
// but the last is followed by the one before it.
func readOn(p *tftptest.Peer, blocks, blksize, windowsize int, again bool) (data []byte) {
	acked := blocks
	for {
		b := p.ExpectAny()
		if b.Op != tftp.OpDATA || int(b.Block) != blocks+1 {
			continue
		}
		blocks++
		data = append(data, b.Data...)
		last := len(b.Data) < blksize
		if !last && blocks < acked+windowsize {
			continue
		}
		p.Ack(tftp.BlockNumber(blocks))
		if last {
			return data
		}
		if again {
			p.Ack(tftp.BlockNumber(acked))
		}
		acked = blocks
	}
}

// GRUB closes a file that it has seen enough of with ERROR 0.
func TestGRUBClosesEarly(t *testing.T) { onEachLoop(t, testGRUBClosesEarly) }

func testGRUBClosesEarly(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Opener: tftptest.Files{"grub.cfg": tftptest.Bytes(5000)}})
	p := s.peer(t)
	p.Ask("grub.cfg", option("blksize", "1024"), option("tsize", "0"))
	p.Expect(tftp.OpOACK)
	p.Ack(0)
	for p.ExpectAny().Op != tftp.OpDATA { // the OACK may come twice
	}
	p.Ack(1)
	p.Fail(tftp.ErrUndefined, "closed")
	if r := s.report(t); r.Result != tftp.Aborted || r.Bytes != 1024 {
		t.Errorf("got report %+v", r)
	}
}
