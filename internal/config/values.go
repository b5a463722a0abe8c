package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wrongKind reports a value that is no value of the sort that k wants. A string
// in the place of a list is so common that the answer shows what to write.
func (d *document) wrongKind(k *key, n *node) {
	if n.kind == kindText && strings.HasPrefix(k.value.want, "a list") {
		d.problemf(n.offset, "%s: want a list such as %s, got a string", k.name, k.example)
		return
	}
	d.problemf(n.offset, "%s: want %s, got %s", k.name, k.value.want, n.kind)
	if k.value.want == "a string" {
		d.hintQuotes(n)
	}
}

// hintQuotes says what to do if n looks like text without quotes. A MAC address
// can pass for a time, and the beginning of an address for a fraction.
func (d *document) hintQuotes(n *node) {
	if n.kind == kindTime || n.kind == kindFraction {
		d.hintf("text stands in straight quotes: %s", quote(n.text))
	}
}

// badValue reports what err says of the value of k. Errors that begin with the
// value in quotes follow the key's name like the words of a sentence.
func (d *document) badValue(k *key, n *node, err error) {
	colon := ":"
	if strings.HasPrefix(err.Error(), `"`) || strings.HasPrefix(err.Error(), "is ") {
		colon = ""
	}
	d.problemf(n.offset, "%s%s %v", k.name, colon, err)
}

// text is a string that parse turns into a T.
func text[T any](dst *T, parse func(string) (T, error)) value {
	return value{want: "a string", read: func(d *document, k *key, n *node) {
		if n.kind != kindText {
			d.wrongKind(k, n)
			return
		}
		v, err := parse(n.text)
		if err != nil {
			d.badValue(k, n, err)
			return
		}
		*dst = v
	}}
}

// optionalText is a string that may be absent. For a value that is wrong *dst
// becomes something all the same, so that later checks see that the key is there.
func optionalText(dst **string, check func(string) error) value {
	return value{want: "a string", read: func(d *document, k *key, n *node) {
		*dst = new("?")
		if n.kind != kindText {
			d.wrongKind(k, n)
			return
		}
		if err := check(n.text); err != nil {
			d.badValue(k, n, err)
			return
		}
		*dst = &n.text
	}}
}

// list is a list of strings, each of which parse turns into a T. dst is never
// nil after it.
func list[T any](dst *[]T, parse func(string) (T, error)) value {
	return listOf(dst, "strings", func(n *node) bool { return n.kind == kindText }, parse)
}

// listOf is a list of what fits says. plural is for the problems.
func listOf[T any](dst *[]T, plural string, fits func(*node) bool, parse func(string) (T, error)) value {
	return value{want: "a list of " + plural, read: func(d *document, k *key, n *node) {
		*dst = []T{}
		if n.kind != kindList {
			d.wrongKind(k, n)
			return
		}
		for _, item := range n.items {
			if !fits(item) {
				d.problemf(item.offset, "%s: want a list of %s, got %s in it", k.name, plural, item.kind)
				d.hintQuotes(item)
				continue
			}
			if item.text == "" {
				d.problemf(item.offset, "%s has an empty string in it", k.name)
				continue
			}
			v, err := parse(item.text)
			if err != nil {
				d.badValue(k, item, err)
				continue
			}
			*dst = append(*dst, v)
		}
	}}
}

// filled is v for lists that make no sense when they are empty. advice says what
// to do instead.
func filled(v value, advice string) value {
	read := v.read
	v.read = func(d *document, k *key, n *node) {
		read(d, k, n)
		if n.kind == kindList && len(n.items) == 0 {
			d.problemf(n.offset, "%s is an empty list: %s", k.name, advice)
		}
	}
	return v
}

// number is a whole number within bounds, both included.
func number[T ~int | ~int64 | ~uint16](dst *T, low, high T) value {
	allowed := fmt.Sprintf("%d to %d", low, high)
	return value{want: "a whole number", allowed: allowed, read: func(d *document, k *key, n *node) {
		if n.kind != kindInteger {
			d.wrongKind(k, n)
			return
		}
		// Base 0 takes what TOML takes: 0x1f, 0o17, 0b1, 1_000. A sign that TOML
		// allows is allowed too.
		v, err := strconv.ParseInt(n.text, 0, 64)
		if err != nil || v < int64(low) || v > int64(high) {
			d.problemf(n.offset, "%s %s is out of range, want %s", k.name, n.text, allowed)
			return
		}
		*dst = T(v)
	}}
}

// boolean is true or false.
func boolean(dst *bool) value {
	return value{want: "true or false", read: func(d *document, k *key, n *node) {
		if n.kind != kindBoolean {
			d.wrongKind(k, n)
			return
		}
		*dst = n.text == "true"
	}}
}

// A choice is one of a few words, and what it stands for.
type choice[T any] struct {
	word  string
	value T
}

// oneOf is one of a few words.
func oneOf[T any](dst *T, choices ...choice[T]) value {
	var words []string
	for _, c := range choices {
		words = append(words, c.word)
	}
	v := text(dst, func(s string) (T, error) {
		i := slices.Index(words, s)
		if i < 0 {
			var none T
			return none, fmt.Errorf("%s is unknown, want %s", quote(s), either(words))
		}
		return choices[i].value, nil
	})
	v.allowed = "one of " + either(words)
	return v
}

// marked is v for a key that later checks look for: a value that is wrong leaves
// mark in *dst, so that they see that the key is there.
func marked[T any](dst *T, mark T, v value) value {
	read := v.read
	v.read = func(d *document, k *key, n *node) {
		*dst = mark
		read(d, k, n)
	}
	return v
}

// duration is a length of time within bounds, both included.
func duration(dst *time.Duration, low, high time.Duration) value {
	allowed := fmt.Sprintf("%s to %s", short(low), short(high))
	v := text(dst, func(s string) (time.Duration, error) {
		v, err := time.ParseDuration(s)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%s is not a duration, want a number with a unit such as \"500ms\", \"10s\" or \"2m\"", quote(s))
		case v < low || v > high:
			return 0, fmt.Errorf("%s is out of range, want %s", quote(s), allowed)
		}
		return v, nil
	})
	v.want, v.allowed = `a duration such as "10s"`, allowed
	return v
}

// short is d without the units that are zero: "1h", not "1h0m0s".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
