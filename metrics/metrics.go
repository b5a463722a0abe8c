// Package metrics turns the events of the other packages into Prometheus series.
// It is fed and never asks, except for the two gauges of the TFTP engine, which
// are read when somebody scrapes. Every label comes from a closed set: no MAC,
// path or address of a client ever becomes one.
package metrics

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"netbootd/bootmenu"
	"netbootd/dhcpproxy"
	"netbootd/tftp"
)

// noProfile is the label of what belongs to no profile.
const noProfile = "none"

// transferBuckets are the upper bounds of the histogram of transfer times in
// seconds: from a loader on a quiet wire to an image on a slow one.
var transferBuckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

// Build says which program this is.
type Build struct {
	Version   string // release, such as "0.1.0"
	Revision  string // of the source
	GoVersion string
}

// EngineStats are the numbers of the TFTP engine that are read at scrape time.
type EngineStats struct {
	ListenerUp      bool
	Active          int   // transfers in flight
	Retransmissions int64 // DATA packets sent again since the start of the process
}

// Metrics holds every series. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	dhcpRequests    *prometheus.CounterVec
	dhcpReplies     *prometheus.CounterVec
	transfers       *prometheus.CounterVec
	transferBytes   *prometheus.CounterVec
	transferSeconds *prometheus.HistogramVec
	profileStarted  *prometheus.GaugeVec
	profileDegraded *prometheus.GaugeVec
	reloadOK        prometheus.Gauge
	reloadTime      prometheus.Gauge
	assignments     *prometheus.GaugeVec
	onceEnded       *prometheus.CounterVec

	dhcpMu sync.Mutex
	dhcp   map[dhcpLabels]dhcpCounters // guarded by dhcpMu
}

// New makes the series in a registry of its own. engine is called at each scrape
// and must not block.
func New(b Build, engine func() EngineStats) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		dhcp:     make(map[dhcpLabels]dhcpCounters),
		dhcpRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "netbootd_dhcp_requests_total",
			Help: "DHCP packets received on ports 67 and 4011, by what became of them: answered, or the reason for silence.",
		}, []string{"type", "arch", "outcome"}),
		dhcpReplies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "netbootd_dhcp_replies_total",
			Help: "ProxyDHCP replies sent.",
		}, []string{"type", "arch", "style"}),
		transfers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "netbootd_tftp_transfers_total",
			Help: "TFTP transfers ended, by result.",
		}, []string{"direction", "result", "profile"}),
		transferBytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "netbootd_tftp_bytes_total",
			Help: "Payload bytes that clients acknowledged, added when a transfer ends whatever its result.",
		}, []string{"direction", "profile"}),
		transferSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "netbootd_tftp_transfer_seconds",
			Help:    "Duration of delivered TFTP transfers, from the request to the last acknowledgement.",
			Buckets: transferBuckets,
		}, []string{"profile"}),
		profileStarted: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "netbootd_profile_started",
			Help: "Whether a profile is started (1) or stopped (0).",
		}, []string{"profile"}),
		profileDegraded: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "netbootd_profile_degraded",
			Help: "Whether a file or a loader that a profile needs is missing or wrong (1) or not (0).",
		}, []string{"profile"}),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "netbootd_config_last_reload_successful",
			Help: "Whether the last reload found every file good (1) or kept something old (0).",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "netbootd_config_last_reload_success_timestamp_seconds",
			Help: "When every file was last found good, in seconds since 1970.",
		}),
		assignments: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "netbootd_assignments",
			Help: "Assignments of machines to profiles that stand: once, pinned, or done (once, and consumed lately).",
		}, []string{"kind"}),
		onceEnded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "netbootd_assignments_consumed_total",
			Help: "Once-assignments that have ended, by what ended them: delivered, command or expired.",
		}, []string{"by"}),
	}
	m.registry.MustRegister(m.dhcpRequests, m.dhcpReplies, m.transfers, m.transferBytes, m.transferSeconds,
		m.profileStarted, m.profileDegraded, m.reloadOK, m.reloadTime, m.assignments, m.onceEnded, buildInfo(b),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(engineSeries(engine)...)
	return m
}

// engineSeries are read from the engine at each scrape.
func engineSeries(engine func() EngineStats) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "netbootd_tftp_active_transfers",
			Help: "TFTP transfers in flight.",
		}, func() float64 { return float64(engine().Active) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "netbootd_tftp_retransmissions_total",
			Help: "TFTP DATA packets sent more than once.",
		}, func() float64 { return float64(engine().Retransmissions) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "netbootd_tftp_listener_up",
			Help: "Whether the TFTP listener is up (1): it is while something holds it, such as a started profile.",
		}, func() float64 { return oneIf(engine().ListenerUp) }),
	}
}

// buildInfo is the constant series that names the build.
func buildInfo(b Build) prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "netbootd_build_info",
		Help:        "Always 1; the labels say which build this is.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.GoVersion},
	})
	info.Set(1)
	return info
}

// Handler serves the series in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// DHCP counts packets on port 67 or 4011.
func (m *Metrics) DHCP(events ...dhcpproxy.Event) {
	m.dhcpMu.Lock()
	defer m.dhcpMu.Unlock()
	for i := range events {
		e := &events[i]
		labels := dhcpLabels{request: e.Type, arch: e.Machine.Arch.Label(), outcome: string(e.Reason)}
		if e.Answered() {
			labels.outcome, labels.reply, labels.style = "answered", e.Reply.Type, e.Reply.Style
		}
		m.countersFor(labels).count()
	}
}

// dhcpLabels are the labels of what one packet counts for.
type dhcpLabels struct {
	request       dhcpproxy.MessageType
	arch, outcome string
	reply         string // its type; empty if there was none
	style         bootmenu.Style
}

// dhcpCounters are the counters for packets of the same labels.
type dhcpCounters struct {
	request, reply prometheus.Counter // reply is nil if there was none
}

func (c dhcpCounters) count() {
	c.request.Inc()
	if c.reply != nil {
		c.reply.Inc()
	}
}

// countersFor are looked up in the vectors only once: that takes longer than to
// answer a packet. As labels are of closed sets there are not many.
func (m *Metrics) countersFor(l dhcpLabels) dhcpCounters {
	c, ok := m.dhcp[l]
	if !ok {
		c.request = m.dhcpRequests.WithLabelValues(string(l.request), l.arch, l.outcome)
		if l.reply != "" {
			c.reply = m.dhcpReplies.WithLabelValues(l.reply, l.arch, string(l.style))
		}
		m.dhcp[l] = c
	}
	return c
}

// TFTP counts one transfer that has ended.
func (m *Metrics) TFTP(t tftp.Transfer) {
	profile := t.Label
	if profile == "" {
		profile = noProfile
	}
	m.transfers.WithLabelValues(string(t.Direction), string(t.Result), profile).Inc()
	m.transferBytes.WithLabelValues(string(t.Direction), profile).Add(float64(t.Bytes))
	if t.Result == tftp.Delivered {
		m.transferSeconds.WithLabelValues(profile).Observe(t.Duration.Seconds())
	}
}

// Profiles tells which profiles there are, and whether each is started.
func (m *Metrics) Profiles(started map[string]bool) {
	m.profileStarted.Reset()
	for name, up := range started {
		m.profileStarted.WithLabelValues(name).Set(oneIf(up))
	}
}

// Degraded tells whether a profile lacks something on this host.
func (m *Metrics) Degraded(profile string, degraded bool) {
	m.profileDegraded.WithLabelValues(profile).Set(oneIf(degraded))
}

// Forget drops what [Metrics.Degraded] was told of a profile that is gone.
func (m *Metrics) Forget(profile string) { m.profileDegraded.DeleteLabelValues(profile) }

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Assignments are how many assignments of each kind stand.
type Assignments struct {
	Once, Pinned, Done int
}

// Assigned tells how many assignments stand.
func (m *Metrics) Assigned(n Assignments) {
	m.assignments.WithLabelValues("once").Set(float64(n.Once))
	m.assignments.WithLabelValues("pinned").Set(float64(n.Pinned))
	m.assignments.WithLabelValues("done").Set(float64(n.Done))
}

// OnceEnded counts one once-assignment that has ended, by what ended it: a word of
// a closed set.
func (m *Metrics) OnceEnded(by string) { m.onceEnded.WithLabelValues(by).Inc() }

// Reloaded tells how a reload, or the first load, ended.
func (m *Metrics) Reloaded(ok bool, at time.Time) {
	if !ok {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadTime.Set(float64(at.UnixMilli()) / 1000)
}
