package daemon

import (
	"log/slog"
	"net/netip"
	"time"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/internal/bootlog"
	"netbootd/internal/images"
	"netbootd/metrics"
	"netbootd/tftp"
)

// Settings are the service's own settings. Except for the loaders' directories
// and the menu they hold for the life of the process.
type Settings struct {
	Interfaces dhcpproxy.Policy
	DHCP       DHCPSettings
	TFTP       TFTPSettings
	Menu       bootmenu.Menu

	Images        string   // directory of the boot files; made if missing
	State         string   // directory of what must survive a restart; made if missing
	LoaderDirs    []string // searched for boot loaders
	MetricsListen string   // host:port; empty: no metrics
	Control       ControlSettings
}

// ControlSettings are those of the control API.
type ControlSettings struct {
	Socket    string // path of the unix socket
	Listen    string // host:port for clients on other hosts; empty: none
	Cert, Key string // files of the certificate and its key; empty: one of our own
}

// DHCPSettings are those of the ProxyDHCP service.
type DHCPSettings struct {
	Enabled     bool
	Relays      []netip.Prefix // relays that are answered
	IPXEClasses []string       // user classes that iPXE builds announce
	Quirks      []bootmenu.Quirk
	Limits      dhcpproxy.Limits
}

// TFTPSettings are those of the TFTP service.
type TFTPSettings struct {
	Listen       string         // host:port or :port
	Always       bool           // up also while no profile is started
	Allow        []netip.Prefix // networks whose clients are served; empty: all
	Limits       tftp.Limits    // what clients may negotiate
	MaxTransfers int            // at once, in all
	MaxPerClient int            // at once, per client address
	MaxIdle      time.Duration  // how long a transfer lives without progress
	MaxDuration  time.Duration  // how long a transfer lives in all
	CacheBytes   int64          // memory for what was read of files
	SinglePort   bool           // transfers are answered from the port of Listen
	Ports        tftp.PortRange // else from these; the zero value: any
	Drain        time.Duration  // how long transfers may go on once the listener stops
	Write        *WriteSettings
}

// WriteSettings say what becomes of files that clients write. Without them every
// write is refused.
type WriteSettings struct {
	Inbox images.InboxOptions
	Allow []netip.Prefix // networks whose clients may write
}

// A Plan is what is to be served.
type Plan struct {
	Profiles []*bootmenu.Profile // those whose files are good
	Broken   map[string][]string // profiles whose files are not: the problems, a line each
	Dir      string              // of the files, as the lines in Broken name it
	Sources  []string            // files and directories that it is read from, whether they are there or not
}

// Options are the parts of a daemon.
type Options struct {
	Settings Settings
	// Load reads the configuration anew. An error means that netbootd.toml is
	// broken, and changes nothing.
	Load   func() (Settings, Plan, error)
	Reload <-chan struct{} // each value asks for a reload
	Logger *slog.Logger
	// LogOutput is where its lines go, if that can hold them back; else nil.
	LogOutput bootlog.Holder
	Build     metrics.Build
	Config    string // path of netbootd.toml, for people; empty if there is none
	Node      string // name of this node, for events

	ProfilesDir string // where profiles are read from, for people
}
