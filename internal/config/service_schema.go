package config

import (
	"log/slog"
	"math"
	"strings"
	"time"

	"netbootd/bootmenu"
	"netbootd/tftp"
)

const (
	// maxTransfersLimit is beyond what one host's memory and ports can bear.
	maxTransfersLimit = 1_000_000
	// The least cache holds a few windows of several transfers, and the largest is
	// beyond the memory of most hosts.
	minCacheBytes = 1 << 20
	maxCacheBytes = 1 << 40
)

// maxRequestsLimit is beyond what one host can answer in a second.
const maxRequestsLimit = 1_000_000

// serviceSchema is what may stand in netbootd.toml. Values go to s, those of
// [tftp.write] to w and those of [[dhcp.quirk]] to quirks; relative paths are
// relative to dir.
func serviceSchema(s *Service, w *Write, quirks *[]*quirkDraft, dir string) *table {
	hostPath := parseHostPath(dir)
	return &table{
		keys: []key{
			{
				name: "interfaces", def: "automatic", example: `["eth1"]`,
				value: filled(list(&s.Interfaces, parseInterface), "leave the key out to choose automatically"),
				doc: "Network interfaces on which machines are answered. " +
					"Without the key it is every interface that is up, has an IPv4 address, and is neither loopback nor a bridge of containers or virtual machines.",
			},
			{
				name: "profiles", value: text(&s.Profiles, hostPath),
				def: `"/etc/netbootd/profiles.d"`, example: `"profiles.d"`,
				doc: "Directory of the boot profiles, one file NAME.toml for each.",
			},
			{
				name: "images", value: text(&s.Images, hostPath),
				def: `"/var/lib/netbootd/images"`, example: `"/srv/boot"`,
				doc: "Directory of the boot files. Everything in it is served to whoever asks.",
			},
			{
				name: "state", value: text(&s.State, hostPath),
				def: `"/var/lib/netbootd/state"`, example: `"/var/lib/netbootd/state"`,
				doc: "Directory of what netbootd remembers across a restart. It must not lie in images.",
			},
			{
				name: "loaders", def: "the usual places of the distributions", example: `["/usr/lib/ipxe"]`,
				value: filled(list(&s.Loaders, hostPath), "leave the key out to search the usual places"),
				doc:   "Directories that are searched for boot loaders: iPXE, PXELINUX with its modules, shim with the signed GRUB, and directories of GRUB's modules such as x86_64-efi. Earlier ones win. netbootd loaders lists what is found.",
			},
		},
		tables: []table{logTable(&s.Log), dhcpTable(&s.DHCP, quirkTable(quirks)), tftpTable(&s.TFTP, writeTable(w, hostPath)), menuTable(&s.Menu), metricsTable(&s.Metrics), controlTable(&s.Control, dir, hostPath)},
	}
}

// maxMenuTimeout is a little less than what firmware can count to.
const maxMenuTimeout = 4 * time.Minute

func menuTable(m *bootmenu.Menu) table {
	return table{name: "menu", doc: "The menu of all profiles without [match], which machines get that no profile matches.", keys: []key{
		{
			name: "title", value: text(&m.Title, parsePlain), def: quote(bootmenu.DefaultMenuTitle), example: `"Lab 3"`,
			doc: "What stands above the entries.",
		},
		{
			name: "default", value: text(&m.Default, parseProfileName), def: "the profile that says default = true, else the disk", example: `"debian"`,
			doc: "Name of the profile that is booted after the timeout. On machines that it has nothing for it is the disk.",
		},
		{
			name: "timeout", value: menuTimeout(&m.Timeout), def: `"10s"`, example: `"1m"`,
			doc: `How long the menu waits for somebody before it boots the default. "0s" waits for ever.`,
		},
		{
			name: "loader", def: `"ipxe"`, example: `"grub"`,
			value: oneOf(&m.Loader,
				choice[bootmenu.Loader]{"ipxe", bootmenu.LoaderIPXE},
				choice[bootmenu.Loader]{"grub", bootmenu.LoaderGRUB},
				choice[bootmenu.Loader]{"pxelinux", bootmenu.LoaderPXELINUX}),
			doc: "Boot loader that draws the menu.",
		},
	}}
}

// menuTimeout is a duration of which zero means that there is none.
func menuTimeout(dst *time.Duration) value {
	v := duration(dst, 0, maxMenuTimeout)
	read := v.read
	v.read = func(d *document, k *key, n *node) {
		read(d, k, n)
		if *dst == 0 {
			*dst = -1
		}
	}
	return v
}

func logTable(l *Log) table {
	return table{name: "log", doc: "What is logged, to standard error.", keys: []key{
		{
			name: "level", def: `"info"`, example: `"debug"`,
			value: oneOf(&l.Level,
				choice[slog.Level]{"debug", slog.LevelDebug}, choice[slog.Level]{"info", slog.LevelInfo},
				choice[slog.Level]{"warn", slog.LevelWarn}, choice[slog.Level]{"error", slog.LevelError}),
			doc: "The least important lines that are logged. debug also tells of the machines that are not answered, and why.",
		},
		{
			name: "format", def: `"auto"`, example: `"json"`,
			value: oneOf(&l.Format,
				choice[LogFormat]{"auto", LogAuto}, choice[LogFormat]{"text", LogText}, choice[LogFormat]{"json", LogJSON}),
			doc: "text is key=value, json is one object a line. auto is made for reading on a terminal, and text elsewhere.",
		},
	}}
}

func dhcpTable(c *DHCP, quirk table) table {
	return table{name: "dhcp", doc: "Answers to machines that boot from the network. netbootd leases no addresses; the site's DHCP server goes on doing that.", keys: []key{
		{
			name: "enabled", value: boolean(&c.Enabled), def: "true", example: "false",
			doc: "Whether machines are answered on ports 67 and 4011. Without it netbootd only serves files, and the site's DHCP server must name them.",
		},
		{
			name: "relays", def: "[]", example: `["198.18.0.0/16"]`,
			value: list(&c.Relays, parsePrefix),
			doc:   "IPv4 networks of the DHCP relay agents whose machines are answered too. Requests through any other relay are ignored.",
		},
		{
			name: "ipxe_user_classes", def: `["iPXE"]`, example: `["iPXE", "ours"]`,
			value: list(&c.IPXEUserClasses, parsePlain),
			doc:   "User classes (option 77) that tell that iPXE is asking and not the firmware below it. A custom build of iPXE may send another one.",
		},
		{
			name: "max_requests", def: "5000", example: "500",
			value: number(&c.Limits.Total, 1, maxRequestsLimit),
			doc:   "How many requests of machines that boot from the network are looked at in a second. More get no answer, and ask again. Answers are broadcast, so this is also how much of the network they can take.",
		},
		{
			name: "max_requests_per_machine", def: "10", example: "4",
			value: number(&c.Limits.PerMachine, 1, maxRequestsLimit),
			doc:   "How many requests of one machine are looked at in a second.",
		},
	}, tables: []table{quirk}}
}

// quirkTable is a list of tables; each adds one to quirks.
func quirkTable(quirks *[]*quirkDraft) table {
	return table{
		name: "quirk",
		doc: "Firmware that wants another form of answer than its kind. The keys of one table that are present must all match, the values of one key are alternatives, " +
			"and of several tables the first that matches counts. offer in a profile stands above it. docs/firmware.md says what each kind of firmware is offered.",
		each: func(offset int) table {
			q := &quirkDraft{offset: offset}
			*quirks = append(*quirks, q)
			return table{keys: []key{
				{
					name: "mac", def: "any", example: `["00:1b:21:*"]`,
					value: filled(list(&q.Match.MAC, bootmenu.ParseMACPattern), noEmptyList),
					doc:   "MAC addresses, or beginnings of them.",
				},
				{
					name: "arch", value: filled(archList(&q.Match.Arch), noEmptyList), def: "any", example: `["x86-bios", "x64-uefi"]`,
					doc: "Architectures (option 93), by name or number.",
				},
				{
					name: "vendor_class", def: "any", example: `["PXEClient:Arch:00007:UNDI:003016"]`,
					value: filled(list(&q.Match.VendorClass, parsePattern), noEmptyList),
					doc:   "Vendor classes (option 60). * stands for anything, and case does not matter.",
				},
				{
					name: "offer", value: marked(&q.Offer, "?", styleChoice(&q.Offer)), def: "none, the table needs it", example: `"skip"`,
					doc: "The form of the answer, as in a profile.",
				},
			}}
		},
	}
}

// styleChoice is one of the forms of an answer.
func styleChoice(dst *bootmenu.Style) value {
	var choices []choice[bootmenu.Style]
	for _, s := range []bootmenu.Style{bootmenu.StyleBare, bootmenu.StyleSkip, bootmenu.StyleMenu, bootmenu.StyleHeader, bootmenu.StyleRPi} {
		choices = append(choices, choice[bootmenu.Style]{string(s), s})
	}
	return oneOf(dst, choices...)
}

func tftpTable(c *TFTP, write table) table {
	return table{name: "tftp", doc: "The TFTP server. It listens while at least one profile is started.", keys: []key{
		{
			name: "listen", value: text(&c.Listen, parseListen), def: `":69"`, example: `"192.0.2.10:69"`,
			doc: "Address and port to listen on. A port alone means every IPv4 and IPv6 address. Firmware expects port 69.",
		},
		{
			name: "always", value: boolean(&c.Always), def: "false", example: "true",
			doc: "Listen also when no profile is started.",
		},
		{
			name: "allow", def: "any", example: `["198.18.0.0/24", "2001:db8::/64"]`,
			value: filled(list(&c.Allow, parseNetwork), "leave the key out to serve every network"),
			doc:   "Networks, IPv4 or IPv6, whose clients are served. Requests from elsewhere get no answer, for their address may be forged; the log and the metrics have them as refused.",
		},
		{
			name: "max_blksize", def: "65464", example: "1428",
			value: number(&c.Limits.Blksize, tftp.MinBlksize, tftp.MaxBlksize),
			doc:   "The largest block size in bytes that a client is granted. What fits one packet on the client's interface is a bound in any case.",
		},
		{
			name: "max_windowsize", def: "64", example: "16",
			value: number(&c.Limits.Windowsize, 1, tftp.MaxWindowsize),
			doc:   "The largest number of blocks that is sent before the client must acknowledge.",
		},
		refuseOptions(&c.Limits.RefuseOptions, "[]", ""),
		{
			name: "max_transfers", def: "1000", example: "200",
			value: number(&c.MaxTransfers, 1, maxTransfersLimit),
			doc:   "How many transfers run at once, those of [tftp.write] too. One more is told to try again.",
		},
		{
			name: "max_transfers_per_client", def: "64", example: "8",
			value: number(&c.MaxTransfersPerClient, 1, maxTransfersLimit),
			doc:   "How many transfers run at once for one client address. Many machines may share one address behind NAT.",
		},
		{
			name: "max_idle", def: `"20s"`, example: `"1m"`,
			value: duration(&c.MaxIdle, time.Second, time.Hour),
			doc:   "How long a transfer waits for a client that is silent. U-Boot asks again after 5 s. A client that names a timeout gets five times that, if it is longer, from its first answer on.",
		},
		{
			name: "max_duration", def: `"6h"`, example: `"30m"`,
			value: duration(&c.MaxDuration, time.Minute, 7*24*time.Hour),
			doc:   "How long a transfer may take in all, before it is ended. The default is enough for 10 GB at 0.5 MB/s.",
		},
		{
			name: "cache_bytes", def: "67108864", example: "1073741824",
			value: number(&c.CacheBytes, minCacheBytes, maxCacheBytes),
			doc:   "Bytes of memory that keep what was read of files, for the next client that asks for them.",
		},
		{
			name: "single_port", value: boolean(&c.SinglePort), def: "false", example: "true", without: "port_range",
			doc: "Answer from the port of listen instead of another one for each transfer: for firewalls and address translation that let nothing else through. The port is then given back only when the last transfer has ended.",
		},
		{
			name: "port_range", value: text(&c.Ports, parsePortRange), def: "any free ports", example: `"30000-30099"`, without: "single_port",
			doc: "UDP ports that transfers are answered from, at least 16, for firewalls that must name them.",
		},
		{
			name: "drain", def: `"10s"`, example: `"1m"`,
			value: duration(&c.Drain, 0, time.Hour),
			doc:   "How long running transfers may go on when the server stops, before they are cut.",
		},
	}, tables: []table{write}}
}

// refuseOptions is the key of options that are not granted; more ends its doc.
func refuseOptions(dst *[]string, absent, more string) key {
	return key{
		name: "refuse_options", value: list(dst, parseOption), def: absent, example: `["windowsize"]`,
		doc: "Options of TFTP that clients are not granted though they ask, because they get them wrong: any of " + strings.Join(tftp.OptionNames(), ", ") + "." + more,
	}
}

func writeTable(w *Write, hostPath func(string) (string, error)) table {
	return table{name: "write", doc: "Files that clients write, such as logs and crash images of boards. Without this table every write is refused.", keys: []key{
		{
			name: "dir", value: text(&w.Dir, hostPath), def: "none, the table needs it", example: `"/var/lib/netbootd/written"`,
			doc: "Directory that the files go to, and nothing else does. A file appears when it is complete.",
		},
		{
			name: "allow", def: "none, the table needs it", example: `["198.18.0.0/24"]`,
			value: filled(list(&w.Allow, parseNetwork), "name the networks of the clients that may write"),
			doc:   "Networks, IPv4 or IPv6, whose clients may write.",
		},
		{
			name: "overwrite", value: boolean(&w.Overwrite), def: "false", example: "true",
			doc: "Whether a file of the same name is replaced. Otherwise the client is told that it exists.",
		},
		{
			name: "quota", def: "1073741824", example: "10737418240",
			value: number(&w.Quota, 1, math.MaxInt64),
			doc:   "Bytes that all files of the directory may have together. What would go beyond is refused, at once if the client announces its size.",
		},
	}}
}

func metricsTable(c *Metrics) table {
	return table{name: "metrics", doc: "Metrics for Prometheus, over HTTP at /metrics.", keys: []key{
		{
			name: "listen", value: text(&c.Listen, parseListenOrOff), def: `"127.0.0.1:9469"`, example: `":9469"`,
			doc: `Address and port to listen on. The empty string "" turns it off.`,
		},
	}}
}

func controlTable(c *Control, dir string, hostPath func(string) (string, error)) table {
	return table{name: "control", doc: "The control API, which the command line talks to.", keys: []key{
		{
			name: "socket", value: text(&c.Socket, parseSocketPath(dir)),
			def: `"/run/netbootd/control.sock"`, example: `"/run/netbootd/control.sock"`,
			doc: "Path of the unix socket.",
		},
		{
			name: "listen", value: text(&c.Listen, parseListenOrOff), def: `""`, example: `"192.0.2.10:9470"`,
			doc: `Address and port to listen on for clients on other hosts, with TLS and tokens (netbootd token new). The empty string "" is for none.`,
		},
		{
			name: "cert", value: text(&c.Cert, hostPath), def: "one of our own, kept in state", example: `"/etc/netbootd/tls.crt"`,
			doc: "File with the certificate that clients on other hosts are shown, and those that signed it (PEM). Without it they know the server by the fingerprint that it logs at its start.",
		},
		{
			name: "key", value: text(&c.Key, hostPath), def: "that of our own certificate", example: `"/etc/netbootd/tls.key"`,
			doc: "File with the key of the certificate (PEM).",
		},
	}}
}
