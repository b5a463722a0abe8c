package tftptest

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"netbootd/tftp"
)

// peerPatience is how long a Peer waits for a packet before the test fails.
const peerPatience = 10 * time.Second

// A Peer is the client's end of a transfer, played by a test packet by packet.
type Peer struct {
	tb     testing.TB
	conn   *net.UDPConn
	server netip.AddrPort
	tid    netip.AddrPort // where the last packet came from
}

// NewPeer opens a socket on any port of the address local, which is closed when
// the test ends.
func NewPeer(tb testing.TB, local netip.Addr, server netip.AddrPort) *Peer {
	tb.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)))
	if err != nil {
		tb.Fatalf("cannot open the peer's socket: %v", err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return &Peer{tb: tb, conn: conn, server: server}
}

// Addr is this end.
func (p *Peer) Addr() netip.AddrPort { return addrPort(p.conn.LocalAddr()) }

// TID is where the last packet came from.
func (p *Peer) TID() netip.AddrPort { return p.tid }

// Ask sends a RRQ for a file in octet mode to the port for requests.
func (p *Peer) Ask(name string, options ...tftp.Option) {
	p.tb.Helper()
	p.SendTo(p.server, tftp.Request{Op: tftp.OpRRQ, Name: name, Mode: tftp.Octet, Options: options}.Append(nil))
}

// Ack sends an ACK to where the last packet came from.
func (p *Peer) Ack(n tftp.BlockNumber) {
	p.tb.Helper()
	p.SendTo(p.tid, tftp.Packet{Op: tftp.OpACK, Block: n}.Append(nil))
}

// Fail sends an ERROR to where the last packet came from.
func (p *Peer) Fail(code tftp.ErrorCode, text string) {
	p.tb.Helper()
	p.SendTo(p.tid, tftp.Packet{Op: tftp.OpERROR, Code: code, Text: text}.Append(nil))
}

// SendTo sends any bytes to any address.
func (p *Peer) SendTo(to netip.AddrPort, b []byte) {
	p.tb.Helper()
	if _, err := p.conn.WriteToUDPAddrPort(b, to); err != nil {
		p.tb.Fatalf("cannot send to %s: %v", to, err)
	}
}

// Expect waits for the next packet and fails the test if it is of another kind.
func (p *Peer) Expect(op tftp.Opcode) tftp.Packet {
	p.tb.Helper()
	got := p.ExpectAny()
	if got.Op != op {
		p.tb.Fatalf("got a packet %+v, want opcode %d", got, op)
	}
	return got
}

// ExpectAny waits for the next packet.
func (p *Peer) ExpectAny() tftp.Packet {
	p.tb.Helper()
	b := make([]byte, 1<<16)
	if err := p.conn.SetReadDeadline(time.Now().Add(peerPatience)); err != nil {
		p.tb.Fatal(err)
	}
	n, from, err := p.conn.ReadFromUDPAddrPort(b)
	if err != nil {
		p.tb.Fatalf("waiting for a packet: %v", err)
	}
	p.tid = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	got, err := tftp.ParsePacket(b[:n])
	if err != nil {
		p.tb.Fatalf("packet % x: %v", b[:n], err)
	}
	return got
}

// ExpectBlock waits for DATA with this number.
func (p *Peer) ExpectBlock(n tftp.BlockNumber) tftp.Packet {
	p.tb.Helper()
	got := p.Expect(tftp.OpDATA)
	if got.Block != n {
		p.tb.Fatalf("got block %d, want %d", got.Block, n)
	}
	return got
}

// ExpectError waits for ERROR with this code.
func (p *Peer) ExpectError(code tftp.ErrorCode) tftp.Packet {
	p.tb.Helper()
	got := p.Expect(tftp.OpERROR)
	if got.Code != code {
		p.tb.Fatalf("got ERROR %d %q, want code %d", got.Code, got.Text, code)
	}
	return got
}

// Write sends a WRQ for a file in octet mode to the port for requests.
func (p *Peer) Write(name string, options ...tftp.Option) {
	p.tb.Helper()
	p.SendTo(p.server, tftp.Request{Op: tftp.OpWRQ, Name: name, Mode: tftp.Octet, Options: options}.Append(nil))
}

// Data sends a DATA packet to where the last packet came from.
func (p *Peer) Data(n tftp.BlockNumber, data []byte) {
	p.tb.Helper()
	p.SendTo(p.tid, tftp.Packet{Op: tftp.OpDATA, Block: n, Data: data}.Append(nil))
}

// ExpectAck waits for ACK with this number.
func (p *Peer) ExpectAck(n tftp.BlockNumber) {
	p.tb.Helper()
	if got := p.Expect(tftp.OpACK); got.Block != n {
		p.tb.Fatalf("got ACK %d, want %d", got.Block, n)
	}
}
