package source

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync/atomic"
)

// stdin is the place "-".
type stdin struct{}

func parseStdin(text string) (place, bool, error) { return stdin{}, text == "-", nil }

func (stdin) String() string { return "standard input" }
func (stdin) path() string   { return "" }

func (stdin) open(_ context.Context, o Options) (lister, error) {
	if o.Stdin == nil {
		return nil, errors.New("there is none here")
	}
	return &input{r: o.Stdin}, nil
}

// An input can be read once, from its start.
type input struct {
	r     io.Reader
	taken atomic.Bool
}

func (in *input) Close() error { return nil }

func (in *input) items(context.Context) iter.Seq2[Item, error] {
	return one(Item{Size: -1, open: in.read}, nil)
}

func (in *input) read(_ context.Context, offset int64) (io.ReadCloser, error) {
	switch {
	case offset > 0:
		return nil, errors.New("standard input: cannot be read on where another run left it")
	case in.taken.Swap(true):
		return nil, errors.New("standard input: can be read once only")
	}
	return io.NopCloser(in.r), nil
}
