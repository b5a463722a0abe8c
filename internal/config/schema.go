package config

import (
	"regexp"
	"slices"
)

// A table is what may stand in one table of a file. It is bound to the variables
// that the values go to, so that a new one is made for each file.
type table struct {
	name   string // in its header; empty for the top of the file
	doc    string // what it is for, one or more sentences
	keys   []key
	tables []table

	// named, if set, makes this a table of tables with names that are no fixed
	// keys, such as [arch.NAME]: it is the schema of the one of that name. sample
	// is such a name.
	named  func(name string) (table, error)
	sample string

	// free makes the names of keys free: the one key in keys stands for each of them.
	free bool

	// each, if set, makes this a list of tables, [[name]]: it is the schema of the
	// next one, which begins at an offset.
	each func(offset int) table
}

// A key is one row of the schema.
type key struct {
	name    string
	value   value
	def     string // the default: as it would stand in the file, else in words
	example string // as it would stand in the file
	without string // the key of the same table that this one excludes
	doc     string // what it does, one or more sentences
}

// A value reads one sort of value, and puts it where it belongs.
type value struct {
	want    string // "a whole number", follows "want"
	allowed string // "8 to 65464", "one of text or json"; empty if there is no more to say

	// read reports what is wrong with the value.
	read func(d *document, k *key, n *node)
}

// lookup is the key or table of that name.
func (t *table) lookup(name string) (k *key, sub *table) {
	if t.free {
		named := t.keys[0]
		named.name = name
		return &named, nil
	}
	if i := slices.IndexFunc(t.keys, func(k key) bool { return k.name == name }); i >= 0 {
		return &t.keys[i], nil
	}
	if i := slices.IndexFunc(t.tables, func(s table) bool { return s.name == name }); i >= 0 {
		return nil, &t.tables[i]
	}
	return nil, nil
}

// A decoder reads a tree by a schema.
type decoder struct {
	*document
	schema *table // of the whole file
}

// decode reads a whole file.
func (d *document) decode(schema *table, root *node) {
	dec := decoder{d, schema}
	dec.table(schema, "", root)
}

// table reads one table, whose name in the file is path.
func (d *decoder) table(t *table, path string, n *node) {
	for _, e := range n.entries {
		k, sub := t.lookup(e.name)
		switch {
		case t.named != nil:
			d.named(t, path, e)
		case k != nil:
			k.value.read(d.document, k, e.value)
		case sub != nil && sub.each != nil:
			d.each(sub, join(path, e.name), e)
		case sub != nil:
			if d.isTable(t, e, join(path, e.name)) {
				d.table(sub, join(path, e.name), e.value)
			}
		default:
			d.unknown(t, path, e)
		}
	}
}

// isTable reports an entry of t that should be a table and is not.
func (d *decoder) isTable(t *table, e *entry, path string) bool {
	if e.value.kind == kindTable {
		return true
	}
	d.problemf(e.value.offset, "%s: want a table [%s], got %s", e.name, path, e.value.kind)
	if home, ok := d.home(t, e.name); ok {
		d.hintf("the key %s belongs %s", e.name, home)
	}
	return false
}

// each reads a list of tables.
func (d *decoder) each(t *table, path string, e *entry) {
	if e.value.kind != kindTables {
		d.problemf(e.value.offset, "%s: want a list of tables [[%s]], got %s", e.name, path, e.value.kind)
		return
	}
	for _, n := range e.value.items {
		sub := t.each(n.offset)
		d.table(&sub, path, n)
	}
}

// named reads one of the tables in a table of tables.
func (d *decoder) named(t *table, path string, e *entry) {
	if e.value.kind != kindTable {
		d.broken = true
		d.problemf(e.offset, "unknown key %s in [%s], which holds one table for each name, such as [%[2]s.%[3]s]", quote(e.name), path, t.sample)
		return
	}
	sub, err := t.named(e.name)
	if err != nil {
		d.broken = true
		d.problemf(e.offset, "[%s] %v", join(path, e.name), err)
		return
	}
	d.table(&sub, join(path, e.name), e.value)
}

// unknown reports a key or table that t does not have.
func (d *decoder) unknown(t *table, path string, e *entry) {
	d.broken = true
	where := ""
	if path != "" {
		where = " in [" + path + "]"
	}
	what := "key " + quote(e.name) + where
	switch {
	case e.value.kind == kindTables:
		what = "table [[" + join(path, e.name) + "]]"
	case e.value.header:
		what = "table [" + join(path, e.name) + "]"
	}
	home, ok := d.home(t, e.name)
	if ok {
		d.problemf(e.offset, "unknown %s, it belongs %s", what, home)
		return
	}
	names := t.names(e.value.kind)
	meant := didYouMean(e.name, names)
	d.problemf(e.offset, "unknown %s%s", what, meant)
	if meant == "" && len(names) > 0 {
		d.hintf("there is %s", either(names))
	}
}

// home says where a key or table of that name belongs, if it is known but not
// in t. It is an easy mistake: a key that follows a header is part of that table.
func (d *decoder) home(t *table, name string) (string, bool) {
	if k, sub := d.schema.lookup(name); t != d.schema && k != nil {
		return "at the top of the file, above the first [table]", true
	} else if t != d.schema && sub != nil {
		return "at the top of the file, as [" + name + "]", true
	}
	for _, other := range d.schema.tables {
		if other.free {
			continue
		}
		if k, _ := other.lookup(name); k != nil {
			return "in [" + other.name + "]", true
		}
	}
	return "", false
}

// names are the tables in t if a table is wanted, else the keys.
func (t *table) names(wanted kind) []string {
	var names []string
	if wanted == kindTable || wanted == kindTables {
		for _, s := range t.tables {
			names = append(names, s.name)
		}
		return names
	}
	for _, k := range t.keys {
		names = append(names, k.name)
	}
	return names
}

// bareKey is a key that needs no quotes.
var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// join is the name of a table within another, as it stands in a header.
func join(path, name string) string {
	if !bareKey.MatchString(name) {
		name = quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
