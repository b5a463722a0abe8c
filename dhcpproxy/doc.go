// Package dhcpproxy answers PXE clients beside the site's DHCP server, as the
// ProxyDHCP service of PXE 2.1: it tells them what to boot and from where, and
// never leases an address.
//
// It has three layers. Packets become values and values become packets in
// packet.go and reply.go. [Responder.Answer] decides what one request gets, and
// [Destination] where the reply goes: both are pure functions. [Server] is the
// loop on ports 67 and 4011, which reads packets, remembers which address
// belongs to which machine, and sends what was decided.
//
// What a machine did before it asks is kept by [History]: which OFFERs it left
// unanswered, which style it followed, what was picked in a menu. It comes into
// the decision as [Past].
//
// Silence is the default. Every silence has a [bootmenu.Reason], and every
// request ends as one [Event].
package dhcpproxy
