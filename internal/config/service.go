package config

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/tftp"
)

// A Service is the service's own settings, all checked. Paths are absolute if
// the directory given to [ParseService] is.
type Service struct {
	File string // the file they were read from; empty if there is none

	Interfaces []string // exactly these are served; empty: chosen automatically
	Profiles   string   // directory of the profile files
	Images     string   // directory of the boot files
	State      string   // directory of what must survive a restart
	Loaders    []string // directories searched for boot loaders; empty: the usual ones

	Menu    bootmenu.Menu // Title and Loader are set, Timeout is not zero
	Log     Log
	DHCP    DHCP
	TFTP    TFTP
	Metrics Metrics
	Control Control
}

// Log is how much is logged, and in what form.
type Log struct {
	Level  slog.Level // the least that is logged; the zero value is info, the default
	Format LogFormat
}

// LogFormat is the form of log lines.
type LogFormat uint8

// The forms of log lines.
const (
	LogAuto LogFormat = iota // for a terminal if there is one, else LogText
	LogText                  // key=value
	LogJSON                  // one object a line
)

// DHCP is the settings of [dhcp].
type DHCP struct {
	Enabled         bool             // answer on ports 67 and 4011
	Relays          []netip.Prefix   // relay agents that are answered, IPv4; empty: none
	IPXEUserClasses []string         // elements of option 77 that only iPXE sends
	Quirks          []bootmenu.Quirk // each has a condition and a style; the first that matches counts
	Limits          dhcpproxy.Limits // both at least 1
}

// TFTP is the settings of [tftp].
type TFTP struct {
	Listen                string         // "192.0.2.1:69", or ":69" for all addresses; port 0 takes a free one
	Always                bool           // listen even when no profile is started
	Allow                 []netip.Prefix // networks whose clients are served; empty: all
	Limits                tftp.Limits    // both numbers are set
	MaxTransfers          int            // at once, at least 1
	MaxTransfersPerClient int            // at once for one client address, at least 1
	MaxIdle               time.Duration  // of a transfer without progress, 1 s to 1 hour
	MaxDuration           time.Duration  // of a transfer in all, 1 minute to 7 days
	CacheBytes            int64          // of memory for what was read of files, at least 1 MiB
	SinglePort            bool           // transfers are answered from the port of Listen
	Ports                 tftp.PortRange // else from these; the zero value: any
	Drain                 time.Duration  // how long running transfers may go on at a stop, 0 to 1 hour
	Write                 *Write         // whether clients may write files; nil: they may not
}

// Write is the settings of [tftp.write].
type Write struct {
	Dir       string         // of the files that clients write
	Allow     []netip.Prefix // networks whose clients may; not empty
	Overwrite bool           // a file of the same name is replaced
	Quota     int64          // bytes that the directory may hold, at least 1
}

// defaultQuota is room for many logs and a few crash images.
const defaultQuota = 1 << 30

// Metrics is the settings of [metrics].
type Metrics struct {
	Listen string // for HTTP, as in [TFTP]; empty: off
}

// Control is the settings of [control].
type Control struct {
	Socket    string // path of the unix socket
	Listen    string // for clients on other hosts, as in [TFTP]; empty: off
	Cert, Key string // files of the certificate and its key; both or none
}

// DefaultService is what holds without a file.
func DefaultService() Service {
	return Service{
		Profiles: "/etc/netbootd/profiles.d",
		Images:   "/var/lib/netbootd/images",
		State:    "/var/lib/netbootd/state",
		Menu:     bootmenu.Menu{Title: bootmenu.DefaultMenuTitle, Timeout: bootmenu.DefaultMenuTimeout, Loader: bootmenu.LoaderIPXE},
		DHCP: DHCP{
			Enabled:         true,
			IPXEUserClasses: []string{"iPXE"},
			Limits:          dhcpproxy.Limits{PerMachine: dhcpproxy.DefaultPerMachine, Total: dhcpproxy.DefaultTotal},
		},
		TFTP: TFTP{
			Listen:                ":69",
			Limits:                tftp.Limits{Blksize: tftp.MaxBlksize, Windowsize: defaultMaxWindowsize},
			MaxTransfers:          tftp.DefaultMaxTransfers,
			MaxTransfersPerClient: tftp.DefaultMaxPerClient,
			MaxIdle:               tftp.DefaultMaxIdle,
			MaxDuration:           tftp.DefaultMaxDuration,
			CacheBytes:            tftp.DefaultCacheBytes,
			Drain:                 10 * time.Second,
		},
		Metrics: Metrics{Listen: "127.0.0.1:9469"},
		Control: Control{Socket: "/run/netbootd/control.sock"},
	}
}

// defaultMaxWindowsize is as far as a window helps on a LAN. A client that asks
// for more has seldom the buffers for it, and loses the rest of each window.
const defaultMaxWindowsize tftp.Windowsize = 64

// ParseService reads the text of netbootd.toml. name is the file's name for
// problems, dir the directory that relative paths are relative to. Keys that are
// absent have the values of [DefaultService]. If there are problems the Service
// is the zero value.
func ParseService(name, dir string, src []byte) (Service, Problems) {
	s := DefaultService()
	s.File = name
	d := newDocument(name, src)
	if d.isText() {
		root := d.parse()
		w := Write{Quota: defaultQuota}
		var quirks []*quirkDraft
		d.decode(serviceSchema(&s, &w, &quirks, dir), root)
		d.checkDirs(root, s)
		s.DHCP.Quirks = d.checkQuirks(quirks)
		d.checkPorts(root)
		d.checkControl(root)
		if d.checkWrite(root, w, s.Images) {
			s.TFTP.Write = &w
		}
		d.verify()
	}
	if len(d.problems) > 0 {
		d.problems.sort()
		return Service{}, d.problems
	}
	return s, nil
}

// checkPorts reports two keys that say where transfers are answered from.
func (d *document) checkPorts(root *node) {
	e, ok := root.byName["tftp"]
	if !ok || e.value.kind != kindTable {
		return
	}
	single, ok1 := e.value.byName["single_port"]
	within, ok2 := e.value.byName["port_range"]
	if ok1 && ok2 {
		d.problemf(max(single.offset, within.offset), "single_port and port_range exclude each other in [tftp], keep one")
	}
}

// checkControl reports a certificate without its key, or the other way round.
func (d *document) checkControl(root *node) {
	e, ok := root.byName["control"]
	if !ok || e.value.kind != kindTable {
		return
	}
	for key, other := range map[string]string{"cert": "key", "key": "cert"} {
		here, ok := e.value.byName[key]
		if !ok {
			continue
		}
		if _, both := e.value.byName[other]; !both {
			d.problemf(here.offset, "%s needs %s, which is not there", key, other)
		}
	}
}

// checkWrite tells whether there is a table [tftp.write], and reports what it
// lacks: there is no directory and no network that everybody would be right with.
func (d *document) checkWrite(root *node, w Write, images string) bool {
	e, ok := root.byName["tftp"]
	if !ok || e.value.kind != kindTable {
		return false
	}
	if e, ok = e.value.byName["write"]; !ok || e.value.kind != kindTable {
		return false
	}
	for _, need := range []struct {
		key, example string
		absent       bool
	}{
		{"dir", `dir = "/var/lib/netbootd/written"`, w.Dir == ""},
		{"allow", `allow = ["198.18.0.0/24"]`, len(w.Allow) == 0},
	} {
		if _, written := e.value.byName[need.key]; need.absent && !written {
			d.problemf(e.value.offset, "[tftp.write] has no %s", need.key)
			d.hintf("add a line such as %s", need.example)
		}
	}
	if key, ok := e.value.byName["dir"]; ok && w.Dir != "" && liesIn(w.Dir, images) {
		d.problemf(key.value.offset, "dir %s lies in images %s, where every file is served", quote(w.Dir), quote(images))
	}
	return true
}

// A quirkDraft is one table [[dhcp.quirk]] while its file is being read.
type quirkDraft struct {
	bootmenu.Quirk
	offset int
}

// checkQuirks reports what quirks lack, and gives them without their places.
func (d *document) checkQuirks(drafts []*quirkDraft) (quirks []bootmenu.Quirk) {
	for _, q := range drafts {
		m := q.Match
		switch {
		case d.broken:
		case q.Offer == "":
			d.problemf(q.offset, "[[dhcp.quirk]] has no offer")
			d.hintf(`add a line such as offer = "skip"`)
		case m.MAC == nil && m.Arch == nil && m.VendorClass == nil:
			d.problemf(q.offset, "[[dhcp.quirk]] has no condition, want mac, arch or vendor_class")
		}
		quirks = append(quirks, q.Quirk)
	}
	return quirks
}

// liesIn tells whether a directory is another one or below it.
func liesIn(dir, other string) bool {
	below, err := filepath.Rel(other, dir)
	return err == nil && filepath.IsLocal(below)
}

// checkDirs reports directories below images, because everything there is served
// to anyone who asks.
func (d *document) checkDirs(root *node, s Service) {
	for _, dir := range []struct{ key, path string }{{"state", s.State}, {"profiles", s.Profiles}} {
		if !liesIn(dir.path, s.Images) {
			continue
		}
		e, ok := root.byName[dir.key]
		if !ok {
			e, ok = root.byName["images"]
		}
		if ok {
			d.problemf(e.value.offset, "%s %s lies in images %s, where every file is served", dir.key, quote(dir.path), quote(s.Images))
		}
	}
}
