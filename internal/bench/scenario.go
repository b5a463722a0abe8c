//go:build linux

package main

import (
	"time"

	"netbootd/internal/bench/load"
)

// A scenario is one kind of load, and how well netbootd should do under it.
type scenario struct {
	name  string // for -scenario
	title string
	job   load.Job // without server and hold
	hold  bool     // measure the memory of transfers that are held open
	// discover is what DHCP clients do; nil: TFTP clients do job.
	discover *load.DiscoverJob
	bars     []bar
}

// A metric is what a bar is about.
type metric int

const (
	rate     metric = iota // payload in bytes per second; better if higher, as others are if lower
	cpu                    // processor time of the server for each byte
	p99                    // time that 99 of 100 clients did not exceed
	memory                 // bytes for each open transfer
	peak                   // bytes that the server held at most
	failed                 // clients that did not get the whole file, or an OFFER
	offers                 // OFFERs per second; better if higher
	offerCPU               // processor time of the server for each OFFER
)

// isRate tells whether more is better.
func (k metric) isRate() bool { return k == rate || k == offers }

// Whom a bar compares with, besides a server's name.
const (
	bestPeer = "the best peer"
	nobody   = "" // the limit is absolute
)

// A bar is a goal: netbootd's value divided by the other's is at least (rates) or
// at most (all others) the limit.
type bar struct {
	metric  metric
	against string
	limit   float64
}

// Sizes of the files, in bytes.
const (
	large  = 100_000_000
	middle = 1_000_000
	small  = 64 << 10
)

// ethernetBlksize is the largest block that common firmware asks for on Ethernet
// less a few bytes for tunnels.
const ethernetBlksize = 1428

// scenarios are all there are; quick ones have a tenth of the bytes or clients.
func scenarios(quick bool) []scenario {
	one := load.Job{Clients: 1, Size: large, Blksize: ethernetBlksize}
	many := load.Job{Clients: 200, Size: middle, Blksize: ethernetBlksize}
	lossy := load.Job{Clients: 200, Size: small, Blksize: ethernetBlksize, Bound: 90 * time.Second}
	crowd := load.Job{Clients: 10_000, Size: small, Blksize: ethernetBlksize, Bound: 40 * time.Second}
	with := func(j load.Job, change func(*load.Job)) load.Job {
		change(&j)
		return j
	}
	list := []scenario{
		{name: "lockstep", title: "1 client, 100 MB, lockstep", job: one,
			bars: []bar{{rate, bestPeer, 0.95}}},
		{name: "window16", title: "1 client, 100 MB, windowsize 16", job: with(one, func(j *load.Job) { j.Windowsize = 16 }),
			bars: []bar{{rate, bestPeer, 3}, {cpu, bestPeer, 0.33}}},
		{name: "window64", title: "1 client, 100 MB, windowsize 64", job: with(one, func(j *load.Job) { j.Windowsize = 64 }),
			bars: []bar{{rate, bestPeer, 3}, {cpu, bestPeer, 0.33}}},
		{name: "jumbo", title: "1 client, 100 MB, blksize 65464", job: with(one, func(j *load.Job) { j.Blksize = 65464 }),
			bars: []bar{{rate, bestPeer, 1.1}}},
		{name: "many", title: "200 clients, 1 MB, lockstep", job: many,
			bars: []bar{{rate, bestPeer, 1.25}, {cpu, dnsmasq, 0.85}, {cpu, pin, 0.45}}},
		{name: "many-window16", title: "200 clients, 1 MB, windowsize 16", job: with(many, func(j *load.Job) { j.Windowsize = 16 }),
			bars: []bar{{rate, bestPeer, 2.3}, {cpu, bestPeer, 0.3}}},
		{name: "many-rtt", title: "200 clients, 1 MB, lockstep, round trip of 5 ms", job: with(many, func(j *load.Job) { j.RTT = 5 * time.Millisecond }),
			bars: []bar{{rate, bestPeer, 1.05}}},
		{name: "crowd", title: "10,000 clients in 10 s, 64 KiB", job: with(crowd, func(j *load.Job) { j.Over = 10 * time.Second }),
			bars: []bar{{failed, nobody, 0}, {p99, dnsmasq, 0.2}, {peak, nobody, 150_000_000}}},
		{name: "loss1", title: "200 clients, 64 KiB, 1 % loss each way", job: with(lossy, func(j *load.Job) { j.Loss = 0.01 }),
			bars: []bar{{failed, nobody, 0}, {p99, bestPeer, 0.1}}},
		{name: "loss5", title: "200 clients, 64 KiB, 5 % loss each way", job: with(lossy, func(j *load.Job) { j.Loss = 0.05 }),
			bars: []bar{{failed, nobody, 0}, {p99, bestPeer, 0.1}}},
		{name: "memory", title: "10,000 transfers held open", job: with(crowd, func(j *load.Job) { j.Over = 5 * time.Second }), hold: true,
			bars: []bar{{memory, nobody, 1024}}},
		{name: "discover64", title: "40,000 DISCOVERs through a relay, 64 in flight", discover: &load.DiscoverJob{Clients: 40_000, InFlight: 64},
			bars: []bar{{offers, dnsmasq, 2}, {offerCPU, dnsmasq, 0.7}, {failed, nobody, 0}}},
		{name: "discover1000", title: "40,000 DISCOVERs through a relay, 1000 in flight", discover: &load.DiscoverJob{Clients: 40_000, InFlight: 1000},
			bars: []bar{{failed, nobody, 0}}},
	}
	if quick {
		for i := range list {
			list[i].shrink()
		}
	}
	return list
}

// shrink leaves a tenth of a scenario.
func (s *scenario) shrink() {
	if s.discover != nil {
		s.discover.Clients /= 10
	} else if s.job.Clients > 200 {
		s.job.Clients /= 10
		s.job.Over /= 10
	} else {
		s.job.Size /= 10
	}
	s.title += " (a tenth of it)"
}
