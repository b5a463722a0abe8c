package simulate

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"

	"netbootd/dhcpproxy"
)

// A Target is a file to fetch.
type Target struct {
	URL    string     // for HTTP; empty for TFTP
	Server netip.Addr // for TFTP
	Names  []string   // for TFTP: what is asked for, one after the other until one is there

	named string // who said so, for people
}

// host is the address of the server, if it is known without DNS.
func (t Target) host() netip.Addr {
	if u, ok := asURL(t.URL, "http", "https"); ok {
		addr, _ := netip.ParseAddr(u.Hostname())
		return addr
	}
	return t.Server
}

// targetOf is the file that a reply names, by TFTP from who it says.
func targetOf(o *Offer, name string) Target {
	t := Target{Server: o.fileServer(), Names: []string{name}}
	t.named = fmt.Sprintf("the %s of %s", kindOf(o), o.Sender())
	if o.Siaddr.IsValid() && o.Siaddr != o.Sender() {
		t.named = "the siaddr in " + t.named
	}
	return t
}

// kindOf is what a reply is called.
func kindOf(o *Offer) string { return strings.ToUpper(o.message.String()) }

// asURL reads an absolute URL of a scheme that a client fetches by.
func asURL(name string, schemes ...string) (*url.URL, bool) {
	u, err := url.Parse(name)
	if err != nil || u.Host == "" {
		return nil, false
	}
	for _, s := range schemes {
		if u.Scheme == s {
			return u, true
		}
	}
	return nil, false
}

// A visit is one question to a boot server.
type visit struct {
	to    netip.AddrPort
	offer *Offer       // whose it is to have named that server
	item  *MenuItem    // what is asked for; nil: this client's boot file
	only  []netip.Addr // who may answer; empty: anybody
}

// visitOf asks a server on port 4011 for the boot file.
func visitOf(o *Offer, to netip.Addr) visit {
	return visit{to: netip.AddrPortFrom(to, dhcpproxy.PortBoot), offer: o}
}

// named is what sends the client to the server, for people.
func (v visit) named() string {
	switch {
	case v.item != nil:
		return fmt.Sprintf("the item %q of the PXE menu of %s", v.item.Text, v.offer.Sender())
	case v.offer.Siaddr == v.to.Addr() && v.to.Addr() != v.offer.Sender():
		return fmt.Sprintf("the siaddr in the OFFER of %s", v.offer.Sender())
	}
	return fmt.Sprintf("the OFFER of %s", v.offer.Sender())
}

// advice is what to do if that server does not answer.
func (v visit) advice() string {
	switch {
	case v.item != nil:
		return "option 43 must name boot servers that listen on UDP port 4011"
	case v.offer.Siaddr == v.to.Addr() && v.to.Addr() != v.offer.Sender():
		return "such a client asks siaddr before option 54: it must be the address of the boot server itself"
	}
	return "the server must listen on UDP port 4011, and no firewall may stand before it"
}

// base is the last part of a name.
func base(name string) string { return path.Base(strings.ReplaceAll(name, `\`, "/")) }
