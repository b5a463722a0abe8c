package tftp_test

import (
	"net/netip"
	"testing"

	"netbootd/tftp"
	"netbootd/tftp/tftptest"
)

// RFC 1123 section 4.2.3.5: a request to a broadcast address is ignored.
func TestRequestToBroadcastAddressIsIgnored(t *testing.T) {
	onEachLoop(t, testRequestToBroadcastAddressIsIgnored)
}

func testRequestToBroadcastAddressIsIgnored(t *testing.T, listen listener) {
	s := listen.start(t, tftp.Options{Listen: ":0", Opener: tftptest.Files{"a": nil, "b": []byte("b")}})
	server := netip.AddrPortFrom(loopback, s.addr.Port())
	p := tftptest.NewPeer(t, loopback, server)
	everyone := netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), s.addr.Port())
	p.SendTo(everyone, tftp.Request{Op: tftp.OpRRQ, Name: "b", Mode: tftp.Octet}.Append(nil))
	p.Ask("a")
	if got := p.ExpectBlock(1); len(got.Data) != 0 {
		t.Error("the request to the broadcast address was answered")
	}
	p.Ack(1)
	if got := s.report(t); got.File != "a" || got.Result != tftp.Delivered {
		t.Errorf("got report %+v", got)
	}
}
