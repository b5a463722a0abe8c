//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Results stand between these lines of a document.
const (
	beginMarker = "<!-- results: begin, written by make bench -->\n"
	endMarker   = "<!-- results: end -->\n"
)

// writeBetweenMarkers replaces what stands between the markers of a file.
func writeBetweenMarkers(file, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := bytes.Cut(old, []byte(beginMarker))
	_, after, ends := bytes.Cut(rest, []byte(endMarker))
	if !begins || !ends {
		return fmt.Errorf("%s: %w", file, errors.New("the lines that mark the results are missing"))
	}
	return os.WriteFile(file, fmt.Appendf(nil, "%s%s\n%s\n\n%s%s", before, beginMarker, strings.TrimSpace(text), endMarker, after), 0o644)
}

// markdown is the whole result.
func markdown(machine string, reports []report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n### Bars\n\n", machine)
	row(&b, "scenario", "measured", "netbootd", "other", "ratio", "bar", "met")
	row(&b, "---", "---", "---", "---", "---", "---", "---")
	for i := range reports {
		reports[i].writeVerdicts(&b)
	}
	for i := range reports {
		r := &reports[i]
		fmt.Fprintf(&b, "\n### %s\n\n", r.scenario.title)
		switch {
		case r.scenario.hold:
			r.writeMemory(&b)
		case r.scenario.discover != nil:
			r.writeOffers(&b)
		default:
			r.writeServers(&b)
		}
	}
	return b.String()
}

func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func (r *report) writeVerdicts(b *strings.Builder) {
	for _, one := range r.scenario.bars {
		v := r.judge(one)
		other, ratio := "", ""
		if v.against != nobody {
			other, ratio = v.other+" "+v.metric.text(v.than), number(v.ratio, "%.2f")
		}
		met := "no"
		if v.isMet() {
			met = "yes"
		}
		row(b, r.scenario.title, v.metric.String(), v.metric.text(v.value), other, ratio, v.want(), met)
	}
}

// want is the bar in words.
func (v verdict) want() string {
	than, limit := "at most", v.metric.text(value{v.limit, true})
	if v.metric.isRate() {
		than = "at least"
	}
	if v.against != nobody {
		limit = fmt.Sprintf("%g x %s", v.limit, v.against)
	}
	return than + " " + limit
}

func (r *report) writeServers(b *strings.Builder) {
	row(b, "server", "granted", "MB/s", "CPU-s/GB", "p50", "p99", "longest", "failed", "generator busy")
	row(b, "---", "---", "--:", "--:", "--:", "--:", "--:", "---", "--:")
	for _, s := range r.servers {
		list := r.rounds[s]
		m := list[len(list)/2]
		row(b, s, granted(m),
			rate.number(r.median(rate, s)), cpu.number(r.median(cpu, s)),
			duration(r.percentile(s, 0.5)), duration(r.percentile(s, 0.99)), duration(r.percentile(s, 1)),
			r.failures(s), number(r.busy(s), "%.2f"))
	}
}

func (r *report) writeMemory(b *strings.Builder) {
	row(b, "server", "open", "bytes for each", "failed")
	row(b, "---", "--:", "--:", "---")
	for _, s := range r.servers {
		list := r.rounds[s]
		row(b, s, fmt.Sprint(list[len(list)/2].open), memory.number(r.median(memory, s)), r.failures(s))
	}
}

// granted is what a client got of what it asked for.
func granted(m measurement) string {
	if m.Blksize == 0 {
		return ""
	}
	return fmt.Sprintf("%d x %d", m.Windowsize, m.Blksize)
}

// failures lists the clients that failed in each round, and why the last ones
// did.
func (r *report) failures(server string) string {
	var counts []string
	var why string
	sum := 0
	for _, m := range r.rounds[server] {
		counts = append(counts, fmt.Sprint(m.Failed()))
		sum += m.Failed()
		if m.why != "" {
			why = m.why
		} else if one := m.commonFailure(); one != "" {
			why = one
		}
	}
	if why == "" && sum == 0 {
		return "0"
	}
	return strings.Join(counts, ", ") + ": " + strings.ReplaceAll(why, "|", "/")
}

// commonFailure is the reason that most clients have failed for.
func (m measurement) commonFailure() string {
	var why string
	for one, n := range m.Failures {
		if most := m.Failures[why]; n > most || n == most && one < why {
			why = one
		}
	}
	return why
}

func (r *report) percentile(server string, q float64) value {
	var list []float64
	for _, m := range r.rounds[server] {
		if len(m.Times) > 0 {
			list = append(list, m.Percentile(q).Seconds())
		}
	}
	return median(list)
}

func (r *report) busy(server string) value {
	var list []float64
	for _, m := range r.rounds[server] {
		list = append(list, m.Busy())
	}
	return median(list)
}
