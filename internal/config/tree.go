package config

import (
	"errors"

	toml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A kind is what sort of value stands in the file. Its text follows "got".
type kind string

const (
	kindTable    kind = "a table"
	kindTables   kind = "a list of tables" // written [[name]]
	kindList     kind = "a list"
	kindText     kind = "a string"
	kindInteger  kind = "a number"
	kindFraction kind = "a fraction"
	kindBoolean  kind = "true or false"
	kindTime     kind = "a date or time"
)

// A node is a value in the file, with its place.
type node struct {
	kind    kind
	offset  int               // of its first byte; of the name for a table with a header
	text    string            // a string's value, else the value as written
	items   []*node           // of a list or a list of tables
	entries []*entry          // of a table, in the order of the file
	byName  map[string]*entry // of a table
	header  bool              // a table that has a header [name] of its own
}

// An entry is one key of a table.
type entry struct {
	name   string
	offset int // of the name
	value  *node
}

func newTable(offset int) *node {
	return &node{kind: kindTable, offset: offset, byName: map[string]*entry{}}
}

func (n *node) add(name string, offset int, value *node) {
	e := &entry{name: name, offset: offset, value: value}
	n.entries = append(n.entries, e)
	n.byName[name] = e
}

// A treeBuilder follows the parser through a document.
type treeBuilder struct {
	*document
	parser  unstable.Parser
	root    *node
	current *node // the table that keys go into
	cursor  int   // all before it is read
}

// parse reads the whole document into a tree. At a syntax error it reports that
// and returns what stands before.
func (d *document) parse() *node {
	b := &treeBuilder{document: d, root: newTable(0)}
	b.current = b.root
	b.parser.Reset(d.src)
	for b.parser.NextExpression() {
		switch n := b.parser.Expression(); n.Kind {
		case unstable.Table, unstable.ArrayTable:
			b.table(n)
		case unstable.KeyValue:
			b.keyValue(b.current, n)
		}
	}
	if syntax, ok := errors.AsType[*unstable.ParserError](b.parser.Error()); ok {
		d.broken = true
		d.syntaxProblem(int(b.parser.Range(syntax.Highlight).Offset), syntax.Message)
	}
	return b.root
}

// table reads a header, [a.b] or [[a.b]].
func (b *treeBuilder) table(n *unstable.Node) {
	t, path := b.root, ""
	for it := n.Key(); it.Next(); {
		name, offset := string(it.Node().Data), int(it.Node().Raw.Offset)
		path = join(path, name)
		if !it.IsLast() {
			t = b.descend(t, name, offset)
			continue
		}
		if n.Kind == unstable.ArrayTable {
			b.current = b.element(t, name, offset)
			return
		}
		b.current = b.descend(t, name, offset)
		if b.current.header {
			line, _ := b.place(b.current.offset)
			b.problemf(offset, "duplicate table [%s], it stands in line %d already", path, line)
			return
		}
		b.current.header, b.current.offset = true, offset
	}
}

// descend is the table of that name in t, made if need be.
func (b *treeBuilder) descend(t *node, name string, offset int) *node {
	e, ok := t.byName[name]
	switch {
	case !ok:
		sub := newTable(offset)
		t.add(name, offset, sub)
		return sub
	case e.value.kind == kindTable:
		return e.value
	case e.value.kind == kindTables:
		return e.value.items[len(e.value.items)-1]
	}
	b.clash(e, offset)
	return newTable(offset)
}

// element adds a table to the list of tables of that name in t.
func (b *treeBuilder) element(t *node, name string, offset int) *node {
	e, ok := t.byName[name]
	if !ok {
		t.add(name, offset, &node{kind: kindTables, offset: offset, header: true})
		e = t.byName[name]
	}
	sub := newTable(offset)
	if e.value.kind != kindTables {
		b.clash(e, offset)
		return sub
	}
	e.value.items = append(e.value.items, sub)
	return sub
}

// clash reports a table whose name is taken by something else.
func (b *treeBuilder) clash(e *entry, offset int) {
	line, _ := b.place(e.offset)
	b.problemf(offset, "%s is %s since line %d, it cannot be a table too", quote(e.name), e.value.kind, line)
}

// keyValue reads one key, which may be dotted, and its value.
func (b *treeBuilder) keyValue(t *node, n *unstable.Node) {
	for it := n.Key(); it.Next(); {
		key := it.Node()
		name, offset := string(key.Data), int(key.Raw.Offset)
		if !it.IsLast() {
			t = b.descend(t, name, offset)
			continue
		}
		b.cursor = offset + int(key.Raw.Length)
		value := b.value(n.Value())
		if first, ok := t.byName[name]; ok {
			line, _ := b.place(first.offset)
			b.problemf(offset, "duplicate key %s, it stands in line %d already", quote(name), line)
			return
		}
		t.add(name, offset, value)
	}
}

// value reads the value that follows the cursor. The parser tells no place for
// lists, so the cursor keeps count.
func (b *treeBuilder) value(n *unstable.Node) *node {
	b.skipToValue()
	v := &node{offset: b.cursor}
	switch n.Kind {
	case unstable.Array:
		v.kind = kindList
		b.cursor++ // [
		for it := n.Children(); it.Next(); {
			v.items = append(v.items, b.value(it.Node()))
		}
		b.skipToValue()
		b.cursor++ // ]
	case unstable.InlineTable:
		v = newTable(b.cursor)
		for it := n.Children(); it.Next(); {
			b.keyValue(v, it.Node())
		}
		b.skipToValue()
		b.cursor++ // }
	default:
		v.kind, v.text = scalarKind(n.Kind), string(n.Data)
		b.cursor = int(n.Raw.Offset + n.Raw.Length)
	}
	return v
}

// skipToValue moves the cursor past all that may stand between two values, or
// between a key or the last value and the end of a list.
func (b *treeBuilder) skipToValue() {
	for ; b.cursor < len(b.src); b.cursor++ {
		switch b.src[b.cursor] {
		case ' ', '\t', '\r', '\n', ',', '=':
		case '#':
			for b.cursor < len(b.src)-1 && b.src[b.cursor] != '\n' {
				b.cursor++
			}
		default:
			return
		}
	}
}

func scalarKind(k unstable.Kind) kind {
	switch k {
	case unstable.String:
		return kindText
	case unstable.Bool:
		return kindBoolean
	case unstable.Integer:
		return kindInteger
	case unstable.Float:
		return kindFraction
	}
	return kindTime
}

// verify asks the TOML library about a document in which nothing else is wrong.
// It knows a few rules about tables that are defined in two manners, such as
// log = {...} and [log], which the tree does not.
func (d *document) verify() {
	if len(d.problems) > 0 {
		return
	}
	var discard map[string]any
	err := toml.Unmarshal(d.src, &discard)
	if refused, ok := errors.AsType[*toml.DecodeError](err); ok {
		d.problemf(d.offset(refused.Position()), "this key or table is defined already in another manner")
		d.hintf("keep all keys of a table together, below one header")
	}
}

// offset is the inverse of place for the library's positions, which count
// columns in bytes.
func (d *document) offset(line, column int) int {
	line = min(max(line, 1), len(d.lines))
	return min(d.lines[line-1]+max(column, 1)-1, len(d.src))
}
