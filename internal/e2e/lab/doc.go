// Package lab is a virtual network for tests and for the demo: a site's DHCP
// server, a place for the server under test, a place for TFTP clients, virtual
// PCs with real firmware, and arm64 boards with U-Boot, all on one bridge.
//
// [Enter] moves the program into namespaces of its own (mounts, processes,
// network) by running it a second time there. Everything the lab makes lives in
// them, so when the program ends, however it ends, the kernel takes processes,
// interfaces and temporary files away. The host's network is never touched.
//
//	func main() {
//		if err := lab.Enter(); err != nil { ... }
//		n, err := lab.NewNetwork(ctx, "demo")
//		site, err := n.StartSite(ctx, lab.Dnsmasq)
//		pc, err := n.PowerOn(lab.PC{Firmware: lab.UEFI})
//		_, err = pc.Console.WaitFor(ctx, regexp.MustCompile(`Linux version`))
//	}
//
// It needs Linux, root, and the packages that packages.sh beside it installs.
// All addresses are from 198.18.0.0/15 and 2001:2::/48, which RFC 2544 and
// RFC 5180 set aside for benchmarks.
package lab
