// Package simulate plays the network boot of a firmware against whatever answers
// on the wire, and says whether that firmware would have booted and, if not, at
// which step it would have stopped and why.
//
// It has three layers. packet.go, offer.go and discovery.go turn what firmware
// says and hears into bytes and back. What a firmware makes of it is one
// [family] for each kind: which OFFER it follows, whether it asks a boot server,
// which fields it reads, what file it can start. These are functions of values,
// without socket or clock. [Run] is the I/O: it sends and receives, and asks the
// family what to do next.
//
// A simulation reads answers off the wire with a packet socket, as firmware
// does, so it disturbs no DHCP client or server of its host. Only with
// [Options.Lease] does it take an address, which it gives back.
package simulate
