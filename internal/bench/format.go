//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"
)

// line is a measurement on one line, for the reader who waits.
func (m measurement) line() string {
	if m.why != "" {
		return m.why
	}
	text := ""
	if x, ok := memory.of(m); ok {
		text = fmt.Sprintf("%d open, %.0f bytes each", m.open, x)
	} else if x, ok := offerCPU.of(m); ok {
		text = m.offerLine(x)
	} else if x, ok := cpu.of(m); ok {
		text = fmt.Sprintf("%s MB/s, %s CPU-s/GB, p99 %s", rate.number(value{m.Rate(), true}), cpu.number(value{x, true}),
			duration(value{m.Percentile(0.99).Seconds(), true}))
		text += fmt.Sprintf(", peak %s MB", peak.number(value{float64(m.peak), true}))
		text += fmt.Sprintf(", generator %s CPU-s/GB", cpu.number(value{m.CPU.Seconds() / float64(m.Bytes), true}))
	}
	text += fmt.Sprintf(", generator busy %.2f", m.Busy())
	if m.Failed() > 0 {
		text += fmt.Sprintf(", %d failed: %s", m.Failed(), m.commonFailure())
	}
	return strings.TrimPrefix(text, ", ")
}

// String is the metric's name and unit in a table.
func (k metric) String() string {
	return [...]string{"MB/s", "CPU-s/GB", "p99", "bytes for each open transfer", "peak MB", "failed", "OFFERs/s", "CPU-us/OFFER"}[k]
}

// number is a value without its unit; empty if there is none.
func (k metric) number(v value) string {
	switch k {
	case rate:
		v.x /= 1e6
		if v.x < 10 {
			return number(v, "%.2f")
		}
	case cpu:
		v.x *= 1e9
		return number(v, "%.2f")
	case peak:
		v.x /= 1e6
	case offerCPU:
		v.x *= 1e6
		return number(v, "%.1f")
	}
	return number(v, "%.0f")
}

// text is a value with the unit that the metric's name does not tell.
func (k metric) text(v value) string {
	if k == p99 {
		return duration(v)
	}
	return k.number(v)
}

func number(v value, format string) string {
	if !v.ok {
		return "-"
	}
	return fmt.Sprintf(format, v.x)
}

// duration is a value in seconds with three digits or so.
func duration(v value) string {
	if !v.ok {
		return "-"
	}
	d := time.Duration(v.x * float64(time.Second))
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 100*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
