package images

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
)

// crashHelper changes the store until it is killed.
func crashHelper(dir, seed string) {
	s, err := Create(dir, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for w := range workers {
		go func() {
			c := crashWorker{store: s, rand: rand.New(rand.NewPCG(n, uint64(w)+10)), number: w}
			for c.step() {
			}
		}()
	}
	select {}
}

// A crashWorker changes what is below its own directory.
type crashWorker struct {
	store  *Store
	rand   *rand.Rand
	number int
}

// step does one operation, and tells of it before and after.
func (c *crashWorker) step() bool {
	op, do := c.choose()
	if do == nil {
		return true // it made no sense now
	}
	c.say(crashLine{Op: op})
	err := do()
	l := crashLine{Op: op, Done: true}
	if err != nil {
		l.Err = err.Error()
	}
	c.say(l)
	return err == nil
}

// say writes a line in one piece.
func (c *crashWorker) say(l crashLine) {
	l.Worker = c.number
	b, _ := json.Marshal(l)
	_, _ = os.Stdout.Write(append(b, '\n'))
}

// name is a file or directory of this worker.
func (c *crashWorker) name(of ...string) string {
	return fmt.Sprintf("%d/%s", c.number, of[c.rand.IntN(len(of))])
}

func (c *crashWorker) has(name string) bool {
	ok, err := c.store.Exists(name)
	return ok && err == nil
}

// choose picks an operation that is possible now; nil if it picked another.
func (c *crashWorker) choose() (crashOp, func() error) {
	ctx, s := context.Background(), c.store
	op := crashOp{Name: c.name("a", "b", "d/c"), To: c.name("a", "b", "d/c"), Seed: c.rand.Uint64()}
	switch c.rand.IntN(9) {
	case 0, 1:
		op.Do = "put"
		return op, func() error {
			_, err := s.Put(ctx, Target{Name: op.Name}, bytes.NewReader(crashContent(op.Seed)))
			return err
		}
	case 2, 3:
		return c.chooseUpload(op)
	case 4:
		op.Do = "rename"
		if op.Name == op.To || !c.has(op.Name) {
			return op, nil
		}
		return op, func() error {
			_, err := s.Rename(ctx, op.Name, op.To, Condition{})
			return err
		}
	case 5:
		op.Do = "rollback"
		if kept, err := s.Versions(op.Name); err != nil || len(kept) == 0 {
			return op, nil
		}
		return op, func() error {
			_, err := s.Rollback(ctx, op.Name, "", Condition{})
			return err
		}
	case 6: // a copy is not replaced: two files of one content would make the versions fewer
		op.Do, op.To = "copy", c.name("copy")
		if c.has(op.To) {
			op.Do, op.Name = "remove", op.To
			return op, func() error { return s.Remove(op.Name) }
		}
		if !c.has(op.Name) {
			return op, nil
		}
		return op, func() error {
			_, err := s.Copy(ctx, op.Name, Target{Name: op.To})
			return err
		}
	case 7:
		op.Do, op.Name, op.To = "move", c.name("d", "e"), c.name("d", "e")
		if !c.has(op.Name) || c.has(op.To) {
			return op, nil
		}
		return op, func() error {
			_, err := s.Rename(ctx, op.Name, op.To, Condition{})
			return err
		}
	}
	op.Do = "removeall"
	op.Name = c.name("d", "e")
	if !c.has(op.Name) {
		return op, nil
	}
	return op, func() error { return s.RemoveAll(op.Name) }
}

// chooseUpload goes on with the worker's upload, or begins one.
func (c *crashWorker) chooseUpload(op crashOp) (crashOp, func() error) {
	ctx, s := context.Background(), c.store
	for _, u := range s.Uploads() {
		if u.Target.Name[0] != byte('0'+c.number) {
			continue
		}
		seed, _ := strconv.ParseUint(u.Target.Origin.From, 10, 64)
		left := crashContent(seed)[u.Offset:]
		switch {
		case c.rand.IntN(10) == 0:
			op.Do = "abort"
			return op, func() error { return s.Abort(u.ID) }
		case len(left) == 0:
			op.Do = "commit"
			return op, func() error {
				_, err := s.Commit(ctx, u.ID)
				return err
			}
		}
		op.Do, op.Size = "append", min(len(left), 1+c.rand.IntN(bufferBytes))
		return op, func() error {
			_, err := s.Append(ctx, u.ID, u.Offset, bytes.NewReader(left[:op.Size]))
			return err
		}
	}
	op.Do = "begin"
	content := crashContent(op.Seed)
	return op, func() error {
		target := Target{Name: op.Name, SHA256: sumOf(string(content)), Origin: Origin{From: strconv.FormatUint(op.Seed, 10)}}
		_, err := s.NewUpload(ctx, target, int64(len(content)))
		return err
	}
}
