package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/internal/simulate"
)

// simulateFlags are the flags of netbootd simulate.
type simulateFlags struct {
	client  string
	iface   string
	mac     string
	relays  []string
	lease   bool
	timeout time.Duration
	asJSON  bool
}

// newSimulateCommand plays the network boot of a firmware.
func newSimulateCommand() *cobra.Command {
	var f simulateFlags
	c := &cobra.Command{
		Use:   "simulate --client CLIENT",
		Short: "Play a firmware's network boot, and tell whether it would work",
		Long: "Play the network boot of a firmware against whatever answers on the wire, this netbootd or\n" +
			"anything else: DISCOVER, all OFFERs, the REQUEST to the boot server on port 4011 if this\n" +
			"firmware sends one, and the boot file, with its size and sha256. Nothing is started.\n\n" +
			"Exit code 0 if the firmware would have booted. 1 if not: one sentence says at which step\n" +
			"(discover, offer, lease, boot_server, fetch, loader) and why. Two servers that contradict\n" +
			"each other are an error too, if it is a matter of luck which one the firmware follows.\n\n" +
			"No lease is taken: the boot server and the file are asked for from this host's own address,\n" +
			"and the file server is told by a REQUEST on port 4011 which machine that stands for. With\n" +
			"--lease an address is leased, put on the interface while it is needed, and released. With\n" +
			"--relay this host is a relay agent between the machine and those servers: name the DHCP\n" +
			"server and the ProxyDHCP server. With --mac servers take it for that machine: netbootd\n" +
			"counts it among the attempts of that machine to boot.\n\n" +
			"It needs Linux, and root or CAP_NET_RAW; for --lease CAP_NET_ADMIN too; for --relay, instead,\n" +
			"CAP_NET_BIND_SERVICE. docs/simulate.md tells what each client does.\n\n" +
			"Clients:\n\n" + clientList(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return simulateBoot(cmd, f) },
	}
	c.Flags().StringVar(&f.client, "client", "", "firmware to play")
	c.Flags().StringVar(&f.iface, "interface", "", "interface to play it on; default the only one that is fit for it")
	c.Flags().StringVar(&f.mac, "mac", "", "MAC of the machine to play; servers take it for that machine (default a random one, locally administered)")
	c.Flags().StringSliceVar(&f.relays, "relay", nil, "ask the server at this address as a relay agent would, by unicast with giaddr; may be repeated")
	c.Flags().BoolVar(&f.lease, "lease", false, "take a lease, and release it at the end")
	c.Flags().DurationVar(&f.timeout, "timeout", 10*time.Second, "the longest that any answer is waited for")
	addJSONFlag(c, &f.asJSON)
	return c
}

// clientList is a line for each client.
func clientList() string {
	var list strings.Builder
	for _, c := range simulate.Clients() {
		fmt.Fprintf(&list, "    %-16s %s\n", c.Name, c.About)
	}
	return strings.TrimSuffix(list.String(), "\n")
}

// simulateBoot plays the boot and prints how it went.
func simulateBoot(cmd *cobra.Command, f simulateFlags) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := simulate.Run(ctx, o)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case err != nil:
		return err
	}
	if f.asJSON {
		err = printJSON(cmd.OutOrStdout(), r)
	} else {
		err = printSimulation(cmd.OutOrStdout(), r, f.mac == "")
	}
	if err == nil && !r.Boots {
		return exitError(exitFailed)
	}
	return err
}

// options reads the flags.
func (f simulateFlags) options() (o simulate.Options, err error) {
	o = simulate.Options{Lease: f.lease, Timeout: f.timeout}
	if f.client == "" {
		return o, usageError{errors.New("--client is missing: " + strings.Join(simulate.ClientNames(), ", "))}
	}
	if o.Client, err = simulate.ParseClient(f.client); err != nil {
		return o, usageError{err}
	}
	o.MAC = simulate.RandomMAC()
	if f.mac != "" {
		if o.MAC, err = bootmenu.ParseMAC(f.mac); err != nil {
			return o, usageError{err}
		}
	}
	if f.timeout <= 0 {
		return o, usageError{fmt.Errorf("--timeout %s: want more than nothing", f.timeout)}
	}
	for _, r := range f.relays {
		server, err := netip.ParseAddr(r)
		if err != nil || !server.Is4() {
			return o, usageError{fmt.Errorf("--relay %q is not the IPv4 address of a server", r)}
		}
		o.Relays = append(o.Relays, server)
	}
	o.Interface, err = interfaceFor(f.iface)
	return o, err
}

// interfaceFor is the interface of that name, or the only one that netbootd would
// serve by itself.
func interfaceFor(name string) (dhcpproxy.Interface, error) {
	var policy dhcpproxy.Policy
	if name != "" {
		policy.Names = []string{name}
	}
	all, err := dhcpproxy.HostInterfaces()
	if err != nil {
		return dhcpproxy.Interface{}, fmt.Errorf("interfaces of this host: %w", err)
	}
	fit, refused := policy.Choose(all)
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		var names []string
		for _, in := range fit {
			names = append(names, in.Name)
		}
		return dhcpproxy.Interface{}, usageError{fmt.Errorf("several interfaces are fit, name one with --interface: %s", strings.Join(names, ", "))}
	case name == "":
		return dhcpproxy.Interface{}, errors.New("no interface of this host is up with an IPv4 address; name one with --interface")
	}
	why := "missing"
	for _, r := range refused {
		if r.Name == name {
			why = r.Why
		}
	}
	return dhcpproxy.Interface{}, fmt.Errorf("interface %s: %s", name, why)
}

// printSimulation writes a result for people.
func printSimulation(w io.Writer, r simulate.Result, random bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "client\t%s on %s, MAC %s%s\n", r.Client, r.Interface, r.MAC, map[bool]string{true: " (random, locally administered)"}[random])
	fmt.Fprintf(t, "DISCOVER\t%s; OFFERs: %d\n", discoverText(r), len(r.Offers))
	for _, o := range r.Offers {
		fmt.Fprintf(t, "OFFER\t%s\n", offerText(o))
	}
	if x := r.BootServer; x != nil {
		fmt.Fprintf(t, "REQUEST\t%s\n", exchangeText(x))
	}
	if f := r.File; f != nil {
		fmt.Fprintf(t, "boot file\t%q from %s, fetched from %s\n", f.Name, f.Server, addressText(r))
		fmt.Fprintf(t, "\t%d bytes in %s, sha256 %s\n", f.Size, round(f.Took), f.SHA256)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(t, "warning\t%s\n", warning)
	}
	if r.Boots {
		fmt.Fprintf(t, "%s would boot\n", r.Client)
		return t.Flush()
	}
	fmt.Fprintf(t, "%s would not boot: %s: %s\n", r.Client, r.Step, r.Text)
	if r.Hint != "" {
		fmt.Fprintf(t, "hint: %s\n", r.Hint)
	}
	return t.Flush()
}

// round cuts a duration to what people read.
func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

func discoverText(r simulate.Result) string {
	if len(r.Relays) == 0 {
		return "broadcast"
	}
	var servers []string
	for _, s := range r.Relays {
		servers = append(servers, s.String())
	}
	return "as a relay agent to " + strings.Join(servers, ", ")
}

func addressText(r simulate.Result) string {
	if r.Leased {
		return fmt.Sprintf("the leased address %s, which is released", r.Address)
	}
	return fmt.Sprintf("this host's own address %s", r.Address)
}

// offerText tells of an OFFER in one line.
func offerText(o *simulate.Offer) string {
	parts := []string{fmt.Sprintf("%s after %s", o.Sender(), round(o.After))}
	if o.Address.IsValid() {
		parts = append(parts, "leases "+o.Address.String())
	} else {
		parts = append(parts, "leases nothing (ProxyDHCP)")
	}
	parts = append(parts, bootText(o)...)
	line := strings.Join(parts, ", ")
	if o.Use != "" {
		line += "; taken: " + string(o.Use)
	}
	return line
}

// bootText tells what a reply says about booting.
func bootText(o *simulate.Offer) (parts []string) {
	if o.Class != "" {
		parts = append(parts, fmt.Sprintf("%q", o.Class))
	}
	if o.Siaddr.IsValid() {
		parts = append(parts, "siaddr "+o.Siaddr.String())
	}
	if o.TFTPServer != "" {
		parts = append(parts, fmt.Sprintf("TFTP server %q", o.TFTPServer))
	}
	if o.HeaderFile != "" {
		parts = append(parts, fmt.Sprintf("file %q", o.HeaderFile))
	}
	if o.OptionFile != "" {
		parts = append(parts, fmt.Sprintf("option 67 %q", o.OptionFile))
	}
	if d := o.Discovery; d != nil {
		parts = append(parts, discoveryText(d))
	}
	return parts
}

// discoveryText tells what option 43 says.
func discoveryText(d *simulate.Discovery) string {
	parts := []string{fmt.Sprintf("control %d", d.Control)}
	for _, item := range d.Menu {
		parts = append(parts, fmt.Sprintf("menu item %d %q", item.Type, item.Text))
	}
	for _, s := range d.Servers {
		parts = append(parts, fmt.Sprintf("boot servers %d %v", s.Type, s.Addrs))
	}
	return "option 43: " + strings.Join(parts, ", ")
}

// exchangeText tells of a question to a boot server.
func exchangeText(x *simulate.Exchange) string {
	line := fmt.Sprintf("to the boot server %s from port %d", x.To, x.Port)
	if x.Item != "" {
		line += fmt.Sprintf(" for the menu item %q", x.Item)
	}
	if x.Answer == nil {
		return line + ": no answer"
	}
	return fmt.Sprintf("%s: answered after %s: %s", line, round(x.Answer.After), strings.Join(bootText(x.Answer), ", "))
}
