package main

import (
	"io"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A progress shows on a terminal how far uploads are. Elsewhere it shows nothing:
// each file has its line when it is done.
type progress struct {
	bars *mpb.Progress // nil if nobody looks
	once sync.Once
}

func newProgress(w io.Writer) *progress {
	if !isTerminal(w) {
		return &progress{}
	}
	return &progress{bars: mpb.New(mpb.WithOutput(w))}
}

// close waits until what is shown is as it stays. After that nothing may start.
func (p *progress) close() {
	if p.bars != nil {
		p.once.Do(p.bars.Wait)
	}
}

// A bar is that of one file. The zero value shows nothing.
type bar struct{ shown *mpb.Bar }

// start shows the bar of a file of that many bytes; a negative number is not known.
func (p *progress) start(name string, size int64) bar {
	if p.bars == nil {
		return bar{}
	}
	return bar{p.bars.AddBar(max(size, 0),
		mpb.PrependDecorators(decor.Name(name+" "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f "), decor.AverageETA(decor.ET_STYLE_GO)),
	)}
}

// reader is r, with what is read of it shown; it begins at offset.
func (b bar) reader(r io.ReadCloser, offset int64) io.ReadCloser {
	if b.shown == nil {
		return r
	}
	b.shown.SetCurrent(offset)
	shown, err := b.shown.ProxyReader(r)
	if err != nil { // the bar has ended, as everything has
		return r
	}
	return shown
}

// end leaves the bar as it is.
func (b bar) end(done bool) {
	switch {
	case b.shown == nil:
	case done:
		b.shown.SetTotal(-1, true)
	default:
		b.shown.Abort(false)
	}
}
