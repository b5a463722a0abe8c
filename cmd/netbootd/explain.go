package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"netbootd/bootmenu"
	"netbootd/client"
	"netbootd/dhcpproxy"
	"netbootd/internal/daemon"
)

// explainFlags are those of the command, as they were typed.
type explainFlags struct {
	mac, arch, userClass, vendorClass, iface, relay, packet string
}

// newExplainCommand tells what one machine would get.
func newExplainCommand(connect connector) *cobra.Command {
	var f explainFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain (--mac MAC --arch ARCH | --packet FILE)",
		Short: "Tell what a machine would be answered, and why",
		Long: "Tell what a machine would be answered, and why: which rule decided, which profile, in which\n" +
			"style, and the reply field by field. Nothing is sent. It asks the running netbootd, which\n" +
			"knows the profiles that are started and the styles that machines followed; if none runs, it\n" +
			"decides by the configuration as netbootd run would.\n\n" +
			"--packet explains recorded requests: a capture (pcap, as tcpdump -w writes it) with all\n" +
			"requests to ports 67 and 4011 in it, or one packet to port 67 as hexadecimal digits, with\n" +
			"comments from # to the end of a line. With --mac only those of that machine.\n\n" +
			"--json prints a list with one element for each request. Exit code 0 also if the machine would\n" +
			"get no answer.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			requests, err := f.requests()
			if err != nil {
				return err
			}
			list, by, err := explainAll(cmd, connect, requests)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			return printExplanations(cmd.OutOrStdout(), list, by)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.mac, "mac", "", "MAC address of the machine")
	flags.StringVar(&f.arch, "arch", "", "its arch (option 93), by name or number")
	flags.StringVar(&f.userClass, "user-class", "", `its user class (option 77), such as "iPXE"`)
	flags.StringVar(&f.vendorClass, "vendor-class", "", "its vendor class (option 60) instead of what firmware of the arch sends")
	flags.StringVar(&f.iface, "interface", "", "interface that it is heard on instead of the first that is served")
	flags.StringVar(&f.relay, "relay", "", "address of the DHCP relay that it is behind")
	flags.StringVar(&f.packet, "packet", "", "file with recorded requests")
	addJSONFlag(c, &asJSON)
	return c
}

// requests are what is to be explained.
func (f explainFlags) requests() ([]client.ExplainRequest, error) {
	switch {
	case f.packet != "" && (f.arch != "" || f.userClass != "" || f.vendorClass != "" || f.relay != ""):
		return nil, usageError{errors.New("--packet says all that there is to say of the machine; only --mac and --interface go with it")}
	case f.packet == "" && (f.mac == "" || f.arch == ""):
		return nil, usageError{errors.New("want --mac and --arch, or --packet")}
	}
	var mac bootmenu.MAC
	if f.mac != "" {
		var err error
		if mac, err = bootmenu.ParseMAC(f.mac); err != nil {
			return nil, usageError{err}
		}
	}
	if f.packet != "" {
		return f.recorded(mac)
	}
	m := dhcpproxy.Client{MAC: mac, VendorClass: f.vendorClass, UserClass: f.userClass}
	var err error
	if m.Arch, err = bootmenu.ParseArch(f.arch); err != nil {
		return nil, usageError{err}
	}
	q := client.ExplainRequest{Port: dhcpproxy.PortDHCP, Interface: f.iface}
	if f.relay != "" {
		if m.Relay, err = netip.ParseAddr(f.relay); err != nil || !m.Relay.Is4() {
			return nil, usageError{fmt.Errorf("--relay %q is not an IPv4 address", f.relay)}
		}
		q.Source = netip.AddrPortFrom(m.Relay, dhcpproxy.PortDHCP).String()
	}
	q.Packet = m.Discover()
	return []client.ExplainRequest{q}, nil
}

// recorded are the requests in the file; of one machine, if mac is not zero.
func (f explainFlags) recorded(mac bootmenu.MAC) ([]client.ExplainRequest, error) {
	b, err := os.ReadFile(f.packet)
	if err != nil {
		return nil, err
	}
	all, err := readPackets(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.packet, err)
	}
	var requests []client.ExplainRequest
	for _, p := range all {
		if mac.IsZero() || dhcpproxy.SentBy(p.payload, mac) {
			requests = append(requests, client.ExplainRequest{Packet: p.payload, Port: p.port, Source: p.source, Interface: f.iface})
		}
	}
	if len(requests) == 0 {
		return nil, fmt.Errorf("%s: no DHCP request to port %d or %d is in it", f.packet, dhcpproxy.PortDHCP, dhcpproxy.PortBoot)
	}
	return requests, nil
}

// explainAll asks the running daemon, or decides by the configuration if none
// runs. by says which.
func explainAll(cmd *cobra.Command, connect connector, requests []client.ExplainRequest) (list []client.Explanation, by string, err error) {
	each := func(explain func(client.ExplainRequest) (client.Explanation, error)) (list []client.Explanation, err error) {
		for _, q := range requests {
			e, err := explain(q)
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		return list, nil
	}
	list, asked, err := askOrRead(cmd, connect, func(ctx context.Context, c *client.Client) ([]client.Explanation, error) {
		return each(func(q client.ExplainRequest) (client.Explanation, error) { return c.Explain(ctx, q) })
	}, func(s daemon.Settings, p daemon.Plan) ([]client.Explanation, error) {
		return each(func(q client.ExplainRequest) (client.Explanation, error) { return daemon.Explain(s, p, q) })
	})
	if asked {
		return list, "the running netbootd", err
	}
	return list, "the configuration, for netbootd is not running", err
}

// printExplanations writes explanations for people.
func printExplanations(w io.Writer, list []client.Explanation, by string) error {
	for i, e := range list {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := printExplanation(w, e, by); err != nil {
			return err
		}
	}
	return nil
}

func printExplanation(w io.Writer, e client.Explanation, by string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	who := e.Machine.Arch
	if e.Machine.IPXE {
		who += " that runs iPXE"
	}
	row("request", fmt.Sprintf("%s on port %d", e.Request, e.Port))
	row("machine", fmt.Sprintf("%s, %s", e.Machine.MAC, who))
	row("serial", e.Machine.Serial)
	row("interface", e.Machine.Interface)
	row("decided by", by)
	row("profile", profileText(e))
	row("rule", e.Rule)
	row("matched", e.Matched)
	for _, o := range e.Others {
		row("also", fmt.Sprintf("%s, by %s: %s", o.Profile, o.Matched, o.Why))
	}
	if !e.Answered() {
		row("answer", "none: "+e.Reason)
	} else {
		row("style", e.Style+": "+e.StyleWhy)
		row("file", e.File)
		row("answer", "from "+e.From+" to "+e.To)
	}
	for _, n := range e.Notes {
		row("note", n)
	}
	if e.Answered() {
		fmt.Fprint(t, "\nFIELD\tVALUE\n")
	}
	for _, f := range e.Reply {
		row(f.Name, f.Value)
	}
	return t.Flush()
}

func profileText(e client.Explanation) string {
	switch {
	case e.Profile != "" && e.Title != e.Profile:
		return e.Profile + " (" + e.Title + ")"
	case e.Profile == "" && e.Assigned == string(bootmenu.AssignedDone):
		return "(disk)"
	case e.Profile == "" && e.Answered():
		return "(menu)"
	}
	return e.Profile
}
