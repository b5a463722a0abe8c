package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sync/errgroup"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/internal/bootlog"
	"netbootd/internal/boottree"
	"netbootd/internal/control"
	"netbootd/internal/images"
	"netbootd/internal/loaders"
	"netbootd/metrics"
	"netbootd/tftp"
)

// A Daemon is one running netbootd.
type Daemon struct {
	opts     Options
	images   *images.Store
	inbox    *images.Inbox // nil: clients may not write
	links    *boottree.Links
	history  *dhcpproxy.History
	tree     *boottree.Tree
	health   *boottree.Health
	listener *listener
	dhcp     *dhcpproxy.Server // nil if switched off
	beside   string            // who holds port 67, if its packets are read beside it
	ifaces   *interfaceWatch   // nil with dhcp
	control  net.Listener
	remote   net.Listener // the control API for other hosts; nil if it is off
	pin      string       // fingerprint of its certificate
	web      net.Listener // metrics and health; nil if switched off
	metrics  *metrics.Metrics
	log      *bootlog.Log
	tokens   *tokens
	started  StartedStore
	assigned *assignments
	failures chan error // a listener that broke down by itself

	sources   *fileWatch     // nil if configuration files cannot be watched
	deadlines chan struct{}  // look again at what was started or stopped for a time
	drains    sync.WaitGroup // transfers of servers that nobody waits for else

	ops  sync.Mutex    // one start, stop or reload at a time; guards what follows
	menu bootmenu.Menu // as it was last read

	telling sync.Mutex        // guards what follows; files are looked at under it
	faults  map[string]string // what was last told of a profile's files, by its name

	mu        sync.Mutex // guards what follows
	profiles  map[string]*profile
	unwatched string // why changes of it are not noticed; empty if they are
	reload    control.Reload
	since     time.Time // zero until everything is up
}

// Run is the life of one daemon: it binds, serves until ctx ends, then stops
// offering, lets transfers end within the drain time, and returns nil. It returns
// an error if it could not start, as a [*StartError] where there is something to
// do about it, or if something that it needs broke down. When force is closed the
// drain is cut short. It is made for Linux; other systems only build it.
func Run(ctx context.Context, force <-chan struct{}, o Options) error {
	d, err := newDaemon(o)
	if err != nil {
		return err
	}
	return d.run(ctx, force)
}

func (d *Daemon) run(ctx context.Context, force <-chan struct{}) error {
	defer d.close()
	if err := d.bind(); err != nil {
		d.unbind()
		return explain(err)
	}
	return d.serve(ctx, force)
}

// newDaemon builds what needs no socket.
func newDaemon(o Options) (*Daemon, error) {
	store, err := images.Create(o.Settings.Images, images.Options{})
	if err != nil {
		return nil, &StartError{fmt.Errorf("images directory: %w", err), "make it, or name another with images in netbootd.toml"}
	}
	if err := os.MkdirAll(o.Settings.State, 0o755); err != nil {
		return nil, errors.Join(&StartError{fmt.Errorf("state directory: %w", err), "make it, or name another with state in netbootd.toml"}, store.Close())
	}
	styles, err := openStyles(o.Settings.State, time.Now, func(err error) {
		o.Logger.Warn("cannot remember which style a machine follows", "why", err.Error())
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	d := &Daemon{
		opts:     o,
		menu:     o.Settings.Menu,
		images:   store,
		links:    &boottree.Links{},
		history:  &dhcpproxy.History{Styles: styles},
		started:  newStartedFile(o.Settings.State),
		profiles: make(map[string]*profile),
		faults:   make(map[string]string),
		failures: make(chan error, 1),

		deadlines: make(chan struct{}, 1),
	}
	if d.assigned, err = openAssignments(newAssignmentsFile(o.Settings.State), time.Now); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if d.tokens, err = openTokens(o.Settings.State, time.Now); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	d.assigned.changed, d.assigned.ended, d.assigned.failed = d.countAssigned, d.tellEnded, d.tellUnwritten
	d.tree = boottree.New(boottree.Options{
		Images: store, Links: d.links, Neighbour: neighbour, Opened: d.history.Fetched, Assigned: d.assigned.of,
		Builder: loaders.NewBuilder(filepath.Join(o.Settings.State, "loaders")),
	})
	d.health = boottree.NewHealth(d.tree)
	d.log = bootlog.New(bootlog.Options{Logger: o.Logger, MAC: d.links.MAC})
	d.metrics = metrics.New(o.Build, d.engineStats)
	d.countAssigned(d.assigned.all())
	if w := o.Settings.TFTP.Write; w != nil {
		if d.inbox, err = images.OpenInbox(w.Inbox); err != nil {
			d.close()
			return nil, &StartError{fmt.Errorf("directory of files that clients write: %w", err), "make it, or name another with dir in [tftp.write]"}
		}
	}
	d.listener = &listener{options: d.tftpOptions(), drain: o.Settings.TFTP.Drain, failed: d.fail, logger: o.Logger}
	return d, nil
}

// close gives the directories back.
func (d *Daemon) close() {
	_ = d.images.Close() // both were only held open
	if d.inbox != nil {
		_ = d.inbox.Close()
	}
}

func (d *Daemon) tftpOptions() tftp.Options {
	s := d.opts.Settings.TFTP
	o := tftp.Options{
		Listen:       s.Listen,
		Opener:       opener{d.tree},
		Report:       func(t tftp.Transfer) { d.metrics.TFTP(t); d.log.TFTP(t); d.consume(t) },
		Allow:        s.Allow,
		Limits:       s.Limits,
		MaxTransfers: s.MaxTransfers,
		MaxPerClient: s.MaxPerClient,
		MaxIdle:      s.MaxIdle,
		MaxDuration:  s.MaxDuration,
		CacheBytes:   s.CacheBytes,
		SinglePort:   s.SinglePort,
		Ports:        s.Ports,
		Node:         d.opts.Node,
	}
	if d.inbox != nil {
		o.Depot = depot{d.inbox, s.Write.Allow, d.tree.ProfileOf}
	}
	return o
}

// bind opens every socket, so that whatever is taken is found before anything is
// said to be ready: control first, because it tells of another netbootd; the
// profiles, which bring the TFTP listener up; ports 67 and 4011 last, because
// from then on machines are told to come.
func (d *Daemon) bind() (err error) {
	s := d.opts.Settings
	if s.DHCP.Enabled {
		if d.ifaces, err = d.watchInterfaces(); err != nil {
			return err
		}
	}
	var access string
	if d.control, access, err = control.ListenUnix(s.Control.Socket); err != nil {
		return err
	}
	d.opts.Logger.Info("control API is up", "socket", s.Control.Socket, "access", access)
	if err := d.bindRemote(s.Control); err != nil {
		return err
	}
	if s.MetricsListen != "" {
		if d.web, err = net.Listen("tcp", s.MetricsListen); err != nil {
			return &StartError{fmt.Errorf("metrics: %w", err), `set [metrics] listen to a free address, or to "" for none`}
		}
		d.opts.Logger.Info("metrics are up", "address", d.web.Addr().String())
	}
	d.openWatch(fsnotify.NewWatcher)
	if err := d.firstLoad(); err != nil {
		return err
	}
	if !s.DHCP.Enabled {
		return nil
	}
	if err := d.requireInterface(); err != nil {
		return err
	}
	d.dhcp, err = dhcpproxy.Listen(dhcpproxy.Options{
		Node:      d.opts.Node,
		Policy:    s.Interfaces,
		Responder: d.responder(),
		Links:     d.links,
		History:   d.history,
		Limits:    s.DHCP.Limits,
		Report:    func(events []dhcpproxy.Event) { d.metrics.DHCP(events...); d.log.DHCP(events...) },
	})
	if err != nil {
		return err
	}
	d.ifaces.look(d.setInterfaces)
	d.opts.Logger.Info("ProxyDHCP is up", "addresses", addrTexts(d.dhcp.Addrs()))
	if d.dhcp.Beside() {
		d.beside = holderText(dhcpproxy.PortDHCP)
		d.opts.Logger.Info("port 67 is taken: its packets are read beside their server, with a packet socket", "beside", d.beside)
	}
	return nil
}

// bindRemote opens the control API for other hosts, if there is to be one.
func (d *Daemon) bindRemote(s ControlSettings) error {
	if s.Listen == "" {
		return nil
	}
	cert, err := certificate(s, d.opts.Settings.State, d.opts.Node, time.Now())
	if err != nil {
		return &StartError{fmt.Errorf("certificate of the control API: %w", err), "name files with a certificate and its key with cert and key in [control]"}
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}}
	if d.remote, err = tls.Listen("tcp", s.Listen, config); err != nil {
		return &StartError{fmt.Errorf("control API: %w", err), `set [control] listen to a free address, or to "" for none`}
	}
	d.pin = fingerprint(cert)
	d.opts.Logger.Info("control API is up for other hosts", "address", d.remote.Addr().String(), "fingerprint", d.pin, "tokens", len(d.tokens.all()))
	return nil
}

// responder decides by the settings, with the catalog in force.
func (d *Daemon) responder() *dhcpproxy.Responder {
	return newResponder(selector{d.tree, d.health}, d.opts.Settings.DHCP)
}

func newResponder(s dhcpproxy.Selector, o DHCPSettings) *dhcpproxy.Responder {
	return &dhcpproxy.Responder{Selector: s, Relays: o.Relays, IPXEClasses: o.IPXEClasses, Quirks: o.Quirks}
}

// unbind closes what bind had opened before it came to grief.
func (d *Daemon) unbind() {
	_ = d.listener.shutdown(context.Background()) // nothing was served yet
	for _, ln := range []net.Listener{d.control, d.remote, d.web} {
		if ln != nil {
			_ = ln.Close()
		}
	}
	if d.ifaces != nil {
		d.ifaces.close()
	}
	if d.sources != nil {
		d.sources.close()
	}
}

// serve answers until ctx ends, and then stops in the order that loses nothing:
// first no machine is told to come any more, then those that came get their files,
// then the control API and the metrics, which tell of all that, go.
func (d *Daemon) serve(ctx context.Context, force <-chan struct{}) error {
	offering, stopOffering := context.WithCancel(context.Background())
	telling, stopTelling := context.WithCancel(context.Background())
	defer stopOffering()
	defer stopTelling()
	var offers, tells errgroup.Group
	var keeps sync.WaitGroup
	keeping, stopKeeping := context.WithCancel(context.Background())
	defer stopKeeping()
	keeps.Go(func() { d.assigned.run(keeping) })
	d.followFiles(offering, &offers)
	if d.dhcp != nil {
		offers.Go(func() error { return d.watch(d.dhcp.Serve(offering)) })
		offers.Go(func() error { return d.watch(d.ifaces.follow(offering, d.setInterfaces)) })
	}
	offers.Go(func() error { d.watchFiles(offering); return nil })
	api, told := control.New(remotely{d, files{d.images}}), slog.NewLogLogger(d.opts.Logger.Handler(), slog.LevelWarn)
	tells.Go(func() error { return d.watch(control.Serve(telling, d.control, api.Local(), told)) })
	if d.remote != nil {
		tells.Go(func() error { return d.watch(control.Serve(telling, d.remote, api.Guarded(d.tokens), told)) })
	}
	if d.web != nil {
		tells.Go(func() error { return d.watch(control.Serve(telling, d.web, d.webHandler(), told)) })
	}
	d.ready()
	err := d.untilStopped(ctx)

	stopOffering()
	err = errors.Join(err, offers.Wait())
	drain, cut := context.WithCancel(context.Background())
	defer cut()
	go func() {
		select {
		case <-force:
			cut()
		case <-drain.Done():
		}
	}()
	if _, active, _ := d.listener.stats(); active > 0 {
		d.opts.Logger.Info("letting transfers end", "transfers", active, "within", d.opts.Settings.TFTP.Drain)
	}
	err = errors.Join(err, d.listener.shutdown(drain))
	d.drains.Wait()
	stopKeeping() // what was delivered to the last is written down
	keeps.Wait()
	stopTelling()
	err = errors.Join(err, tells.Wait())
	d.opts.Logger.Info("stopped")
	return err
}

// remotely is what the control API drives.
type remotely struct {
	*Daemon
	files
}

// untilStopped reloads when it is asked to or files change, and ends what was
// started or stopped for a time, until ctx ends or something fails.
func (d *Daemon) untilStopped(ctx context.Context) error {
	deadline := time.NewTimer(0)
	defer deadline.Stop()
	for {
		select {
		case <-ctx.Done():
			d.opts.Logger.Info("stopping: nothing is offered any more")
			return nil
		case err := <-d.failures:
			return err
		case <-d.opts.Reload:
			d.Reload()
		case <-d.filesChanged():
			d.Reload()
		case <-d.deadlines:
			deadline.Reset(d.checkDeadlines(ctx))
		case <-deadline.C:
			deadline.Reset(d.checkDeadlines(ctx))
		}
	}
}

// watch reports an error of a part that should not have ended yet.
func (d *Daemon) watch(err error) error {
	if err != nil {
		d.fail(err)
	}
	return nil
}

// fail ends the daemon with err; the first one counts.
func (d *Daemon) fail(err error) {
	select {
	case d.failures <- err:
	default:
	}
}

// ready says that everything is up.
func (d *Daemon) ready() {
	d.mu.Lock()
	d.since = time.Now()
	started := 0
	for _, p := range d.profiles {
		if p.started {
			started++
		}
	}
	total := len(d.profiles)
	d.mu.Unlock()
	d.opts.Logger.Info("ready", "profiles", total, "started", started, "answers", d.answers())
}

// answers says in one line who would be answered with what.
func (d *Daemon) answers() string {
	if !d.opts.Settings.DHCP.Enabled {
		return "ProxyDHCP is switched off: no machine is answered"
	}
	return d.tree.Catalog().Summary()
}

// engineStats are read at each scrape.
func (d *Daemon) engineStats() metrics.EngineStats {
	up, active, resent := d.listener.stats()
	return metrics.EngineStats{ListenerUp: up, Active: active, Retransmissions: resent}
}

// selector decides with the catalog and the assignments in force, and with what is
// known of the files.
type selector struct {
	*boottree.Tree
	health *boottree.Health
}

// Select implements dhcpproxy.Selector.
func (s selector) Select(m bootmenu.Machine) bootmenu.Decision {
	return s.health.Check(s.Tree.Select(m), m)
}

// OptsIn implements dhcpproxy.Selector.
func (s selector) OptsIn(vendorClass string) bool { return s.Catalog().OptsIn(vendorClass) }
