// Package bootlog tells people what every machine did, from the events of the
// DHCP and TFTP sides: one log line for each thing that a person would ask about.
// What is normal silence (other people's DHCP, sizes asked for and not fetched)
// is told at level debug only.
package bootlog

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/tftp"
)

const (
	// repeatAfter is how long the same silence to the same machine is not told
	// again: firmware asks four times and then starts over.
	repeatAfter = time.Minute
	// maxRepeats bounds the silences that are remembered.
	maxRepeats = 4096
)

// Options are the parts of a [Log].
type Options struct {
	Logger *slog.Logger
	// MAC is the machine behind an address, if it is known.
	MAC func(netip.Addr) (bootmenu.MAC, bool)
	// Output is where Logger's lines go, if it can hold them back; else nil.
	Output Holder
}

// A Holder holds lines back from Hold to Release, to write them all at once: a
// system call for each would cost as much as the line.
type Holder interface {
	Hold()
	Release()
}

// A Log writes the lines. It is safe for concurrent use.
type Log struct {
	opts Options
	mu   sync.Mutex
	told map[silence]time.Time // guarded by mu
}

// A silence is what is told once a minute at most.
type silence struct {
	mac    bootmenu.MAC
	reason bootmenu.Reason
}

// New makes a log.
func New(o Options) *Log { return &Log{opts: o, told: make(map[silence]time.Time)} }

// DHCP tells of packets on port 67 or 4011 that were handled together.
func (l *Log) DHCP(events ...dhcpproxy.Event) {
	if l.opts.Output != nil {
		l.opts.Output.Hold()
		defer l.opts.Output.Release()
	}
	for i := range events {
		l.packet(&events[i])
	}
}

// packet tells of one packet.
func (l *Log) packet(e *dhcpproxy.Event) {
	level := slog.LevelInfo
	if !e.Answered() {
		level = l.silenceLevel(e)
	}
	if !l.opts.Logger.Enabled(context.Background(), level) {
		return // most packets are other people's, and cost no line's work
	}
	attrs := append(make([]slog.Attr, 0, 8),
		slog.String("mac", e.Machine.MAC.String()),
		slog.String("arch", e.Machine.Arch.String()))
	if e.Machine.IPXE {
		attrs = append(attrs, slog.Bool("ipxe", true))
	}
	if e.Answered() {
		l.write(e.Time, level, sentText(e.Reply), append(attrs,
			slog.String("profile", profileName(e.Decision)),
			slog.String("file", e.Reply.File),
			slog.String("style", string(e.Reply.Style)),
			slog.String("server", e.Reply.Server.String()),
			slog.String("interface", e.Machine.Interface)))
		return
	}
	attrs = append(attrs, slog.String("reason", string(e.Reason)), slog.String("why", e.Why))
	l.write(e.Time, level, "no answer to "+strings.ToUpper(string(e.Type)), attrs)
}

func sentText(r dhcpproxy.ReplySummary) string {
	if r.Type == "offer" {
		return "OFFER sent"
	}
	return "ACK sent"
}

// profileName is what the machine gets, for people.
func profileName(d bootmenu.Decision) string {
	switch {
	case d.Profile != "":
		return d.Profile
	case d.Assigned == bootmenu.AssignedDone:
		return "(disk)"
	}
	return "(menu)"
}

// silenceLevel is the level at which a silence is told.
func (l *Log) silenceLevel(e *dhcpproxy.Event) slog.Level {
	switch e.Reason {
	case dhcpproxy.ReasonNotPXE, dhcpproxy.ReasonLeaseRequest, dhcpproxy.ReasonOtherInterface,
		dhcpproxy.ReasonMalformed, dhcpproxy.ReasonBarebox:
		return slog.LevelDebug
	}
	about := silence{e.Machine.MAC, e.Reason}
	if e.Reason == dhcpproxy.ReasonRateLimited {
		about.mac = bootmenu.MAC{} // a flood comes from as many machines as it likes
	}
	if l.toldLately(about, e.Time) {
		return slog.LevelDebug
	}
	switch e.Reason {
	case dhcpproxy.ReasonLoop, dhcpproxy.ReasonSendFailed, dhcpproxy.ReasonNoAddress, dhcpproxy.ReasonRateLimited, dhcpproxy.ReasonPanic, bootmenu.ReasonNoLoader, bootmenu.ReasonNoMenuLoader:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// toldLately tells whether s was told within the last minute, and notes it.
func (l *Log) toldLately(s silence, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, ok := l.told[s]; ok && now.Sub(last) < repeatAfter {
		return true
	}
	if len(l.told) >= maxRepeats {
		clear(l.told) // a flood of invented addresses; a line too many does no harm
	}
	l.told[s] = now
	return false
}

// TFTP tells of one transfer that has ended.
func (l *Log) TFTP(t tftp.Transfer) {
	attrs := []slog.Attr{
		slog.String("client", t.Client.Addr().String()),
		slog.String("mac", l.mac(t.Client.Addr())),
		slog.String("file", t.File),
	}
	if t.Label != "" {
		attrs = append(attrs, slog.String("profile", t.Label))
	}
	if t.Bytes > 0 {
		attrs = append(attrs,
			slog.Int64("bytes", t.Bytes),
			slog.Duration("took", t.Duration.Round(time.Millisecond)),
			slog.Int("blksize", int(t.Blksize)),
			slog.Int("windowsize", int(t.Windowsize)),
			slog.Int64("resent", t.Resent))
	}
	if t.Err != nil {
		attrs = append(attrs, slog.String("why", t.Err.Error()))
	}
	level, text := transferLine(t)
	l.write(time.Now(), level, text, attrs)
}

// transferLine is the level and the words for how a transfer ended.
func transferLine(t tftp.Transfer) (slog.Level, string) {
	switch t.Result {
	case tftp.Delivered:
		if t.Direction == tftp.Write {
			return slog.LevelInfo, "file written"
		}
		return slog.LevelInfo, "file delivered"
	case tftp.Probe:
		return slog.LevelDebug, "size of the file asked"
	case tftp.NotFound:
		return slog.LevelInfo, "file not found"
	case tftp.Aborted:
		return slog.LevelInfo, "client ended the transfer"
	case tftp.Refused:
		return slog.LevelWarn, "transfer refused"
	}
	return slog.LevelWarn, "transfer failed"
}

// mac is the machine behind an address, or "unknown".
func (l *Log) mac(addr netip.Addr) string {
	if mac, ok := l.opts.MAC(addr); ok {
		return mac.String()
	}
	return "unknown"
}

// write does what Logger.LogAttrs does, except for looking up the line of source
// that it is called from: that takes a good part of a line's time, and no handler
// here prints it.
func (l *Log) write(at time.Time, level slog.Level, text string, attrs []slog.Attr) {
	h := l.opts.Logger.Handler()
	if !h.Enabled(context.Background(), level) {
		return
	}
	r := slog.NewRecord(at, level, text, 0)
	r.AddAttrs(attrs...)
	_ = h.Handle(context.Background(), r) // a log that cannot be written cannot be told of either
}
