package config

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/tftp"
)

func compareServices(t *testing.T, got, want Service) {
	t.Helper()
	if diff := gocmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("settings differ (-want +got):\n%s", diff)
	}
}

func TestParseService(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		src  string
		want func(s *Service)
	}{
		{"an empty file has the defaults", "", func(*Service) {}},
		{"comments alone have the defaults", "# nothing\n\n  # at all", func(*Service) {}},
		{"empty tables have the defaults", "[tftp]\n[log]\n", func(*Service) {}},
		{"a byte order mark and CRLF are read over", "\ufeff[tftp]\r\nalways = true\r\n", func(s *Service) { s.TFTP.Always = true }},
		{"relative paths are relative to the file", "profiles = \"p\"\nimages = \"../boot/\"\nloaders = [\"/usr/lib/ipxe\", \"l\"]\n[control]\nsocket = \"c.sock\"", func(s *Service) {
			s.Profiles, s.Images, s.Loaders = "/etc/netbootd/p", "/etc/boot", []string{"/usr/lib/ipxe", "/etc/netbootd/l"}
			s.Control.Socket = "/etc/netbootd/c.sock"
		}},
		{"an inline table", "log = { level = \"warn\", format = \"json\" }", func(s *Service) { s.Log = Log{slog.LevelWarn, LogJSON} }},
		{"a table with a header", "[log]\nlevel = \"error\"\nformat = \"text\"", func(s *Service) { s.Log = Log{slog.LevelError, LogText} }},
		{"dotted keys", "log.level = \"debug\"\ntftp.drain = \"1m30s\"", func(s *Service) {
			s.Log.Level, s.TFTP.Drain = slog.LevelDebug, 90*time.Second
		}},
		{"quoted keys", "\"images\" = '/b'\n['tftp']\n\"always\" = true", func(s *Service) { s.Images, s.TFTP.Always = "/b", true }},
		{"numbers of all bases at the ends of their ranges", "[tftp]\nmax_blksize = 0x8\nmax_windowsize = 65_535\nmax_transfers = +1\nmax_transfers_per_client = 0b1", func(s *Service) {
			s.TFTP.Limits = tftp.Limits{Blksize: 8, Windowsize: 65535}
			s.TFTP.MaxTransfers, s.TFTP.MaxTransfersPerClient = 1, 1
		}},
		{"a list over many lines, with comments and a comma at its end", "interfaces = [ # two\n  'eth0', # one\n  \"br0.7\",\n]", func(s *Service) {
			s.Interfaces = []string{"eth0", "br0.7"}
		}},
		{"dhcp", "[dhcp]\nenabled = false\nrelays = [\"198.18.0.0/16\", \"192.0.2.1/32\"]\nipxe_user_classes = []\nmax_requests = 500\nmax_requests_per_machine = 1", func(s *Service) {
			s.DHCP = DHCP{
				Relays: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16"), netip.MustParsePrefix("192.0.2.1/32")},
				Limits: dhcpproxy.Limits{PerMachine: 1, Total: 500},
			}
		}},
		{"metrics off, TFTP on one IPv6 address", "metrics.listen = \"\"\ntftp.listen = \"[2001:db8::1]:0\"", func(s *Service) {
			s.Metrics.Listen, s.TFTP.Listen = "", "[2001:db8::1]:0"
		}},
		{"images without state below it", "images = \"/srv/boot\"\nstate = \"/srv/boot-state\"", func(s *Service) {
			s.Images, s.State = "/srv/boot", "/srv/boot-state"
		}},
		{"limits of TFTP", `[tftp]
allow = ["198.18.0.0/24", "2001:db8::/64"]
refuse_options = ["windowsize", "tsize"]
max_idle = "1s"
max_duration = "168h"
cache_bytes = 1_048_576
port_range = "30000-30015"`, func(s *Service) {
			s.TFTP.Allow = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/24"), netip.MustParsePrefix("2001:db8::/64")}
			s.TFTP.Limits.RefuseOptions = []string{"windowsize", "tsize"}
			s.TFTP.MaxIdle, s.TFTP.MaxDuration, s.TFTP.CacheBytes = time.Second, 168*time.Hour, 1<<20
			s.TFTP.Ports = tftp.PortRange{First: 30000, Last: 30015}
		}},
		{"a single port", "[tftp]\nsingle_port = true", func(s *Service) { s.TFTP.SinglePort = true }},
		{"drain off", "[tftp]\ndrain = \"0s\"", func(s *Service) { s.TFTP.Drain = 0 }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, problems := ParseService("netbootd.toml", "/etc/netbootd", []byte(c.src))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			want := DefaultService()
			want.File = "netbootd.toml"
			c.want(&want)
			compareServices(t, got, want)
		})
	}
}

func TestProblemsAreAnError(t *testing.T) {
	t.Parallel()
	if err := Problems(nil).Err(); err != nil {
		t.Errorf("no problems are the error %v", err)
	}
	two := Problems{{File: "a", Line: 2, Column: 3, Text: "x", Hint: "y"}, {File: "a", Text: "z"}}
	const want = "a:2:3: x\nhint: y\na: z"
	if got := two.Err().Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	keys := (testServiceSchema().tables[2].names(kindText))
	cases := []struct{ got, want string }{
		{"blocksize", "max_blksize"},
		{"blksize", "max_blksize"},
		{"max-transfer", "max_transfers"},
		{"transfers_per_client", "max_transfers_per_client"},
		{"lisetn", "listen"},
		{"LISTEN", "listen"},
		{"drian", "drain"},
		{"port", "single_port"},
		{"", ""},
		{string(make([]byte, 1000)), ""},
	}
	for _, c := range cases {
		if got := nearest(c.got, keys); got != c.want {
			t.Errorf("nearest to %.20q is %q, want %q", c.got, got, c.want)
		}
	}
}

func TestQuirksAreReadInTheirOrder(t *testing.T) {
	t.Parallel()
	s, problems := ParseService("netbootd.toml", "/", []byte(`
[[dhcp.quirk]]
mac = ["00:1b:21:*"]
arch = ["x64-uefi", 0]
offer = "skip"
[[dhcp.quirk]]
vendor_class = ["PXEClient:Arch:00007:*"]
offer = "menu"
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	intel, other := bootmenu.MACFromBytes([]byte{0, 0x1b, 0x21, 1, 2, 3}), bootmenu.MACFromBytes([]byte{2, 0, 0, 1, 2, 3})
	for name, c := range map[string]struct {
		machine bootmenu.Machine
		want    []bool
	}{
		"both":               {bootmenu.Machine{MAC: intel, Arch: bootmenu.ArchX64UEFI, VendorClass: "PXEClient:Arch:00007:UNDI:003016"}, []bool{true, true}},
		"the arch alone":     {bootmenu.Machine{MAC: other, Arch: bootmenu.ArchX64UEFI, VendorClass: "PXEClient"}, []bool{false, false}},
		"the other arch":     {bootmenu.Machine{MAC: intel, Arch: bootmenu.ArchX86BIOS}, []bool{true, false}},
		"the class, any MAC": {bootmenu.Machine{MAC: other, VendorClass: "pxeclient:arch:00007:"}, []bool{false, true}},
	} {
		for i, q := range s.DHCP.Quirks {
			if got := q.Match.Matches(c.machine); got != c.want[i] {
				t.Errorf("%s: quirk %d matches: %v, want %v", name, i+1, got, c.want[i])
			}
		}
	}
	if s.DHCP.Quirks[0].Offer != bootmenu.StyleSkip || s.DHCP.Quirks[1].Offer != bootmenu.StyleMenu {
		t.Errorf("quirks %+v", s.DHCP.Quirks)
	}
}
