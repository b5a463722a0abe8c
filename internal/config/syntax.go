package config

import (
	"strings"
	"unicode/utf8"
)

// isText reports whether the document can be parsed at all.
func (d *document) isText() bool {
	if len(d.src) > maxFileBytes {
		d.filef("the file has %d bytes, want at most %d", len(d.src), maxFileBytes)
		return false
	}
	for i := 0; i < len(d.src); {
		r, size := utf8.DecodeRune(d.src[i:])
		if r == utf8.RuneError && size == 1 {
			d.problemf(i, "byte 0x%02x is not UTF-8 text", d.src[i])
			d.hintf("save the file with the encoding UTF-8")
			return false
		}
		i += size
	}
	return true
}

// syntaxTexts are the parser's messages by how they begin, in words that name
// what to write instead. The first that fits is taken.
var syntaxTexts = []struct{ message, text, hint string }{
	{"invalid character at start of key", "want a key such as title = \"...\" or a table such as [match], got %[1]s", ""},
	{"expected '=' after key", "want an = sign after the key, got %[1]s", ""},
	{"expected ']]' to close", "want ]] at the end of the table's name, got %[1]s", ""},
	{"expected ']' to close", "want ] at the end of the table's name, got %[1]s", ""},
	{"expected key but reached end", "the file ends where a key is wanted", ""},
	{"expected value, not end", "no value after the = sign", ""},
	{"expected ',' or ']'", "want a comma or ] after an element of a list, got %[1]s", ""},
	{"expected ',' or '}'", "want a comma or } after a value of a table, got %[1]s", ""},
	{"expected value but got", "want an element of the list, got %[1]s", ""},
	{"unexpected comma", "want a key, got a second comma", ""},
	{"array is incomplete", "the list has no end, want ]", ""},
	{"inline table is incomplete", "the table has no end, want }", ""},
	{"expected newline", "want the end of the line, got %[1]s", "text stands in quotes, and each key in a line of its own"},
	{"basic strings cannot have new lines", "the string has no end in this line, want \"", ""},
	{"unterminated basic string", "the string has no end, want \"", ""},
	{"multiline basic string not terminated", "the string has no end, want \"\"\"", ""},
	{"literal strings cannot have new lines", "the string has no end in this line, want '", ""},
	{"unterminated literal string", "the string has no end, want '", ""},
	{"multiline literal string not terminated", "the string has no end, want '''", ""},
	{"invalid escape character", "unknown escape %[1]s in a string", "a string in single quotes takes backslashes as they are"},
	{"need a character after", "the string ends with a backslash", "a string in single quotes takes backslashes as they are"},
	{"integers cannot have leading zeroes", "a number cannot begin with 0", ""},
}

// valueMessages begin the parser's messages about something that is no value.
var valueMessages = []string{"unexpected character", "expected keyword", "strings must be quoted", "expected \""}

// syntaxProblem puts what the parser says at an offset into our words.
func (d *document) syntaxProblem(offset int, message string) {
	// At the end of the file it points at the last byte, which may lie inside a
	// character.
	for offset > 0 && offset < len(d.src) && !utf8.RuneStart(d.src[offset]) {
		offset--
	}
	for _, m := range valueMessages {
		if strings.HasPrefix(message, m) {
			d.valueProblem(offset)
			return
		}
	}
	got := d.tokenAt(offset)
	switch {
	case got == loneReturn:
		d.problemf(offset, "got %s without a line feed", loneReturn)
		d.hintf("save the file with the line ends LF or CRLF")
		return
	case (strings.HasPrefix(message, "expected newline") || strings.HasPrefix(message, "expected ','")) && d.startOfWord(offset) < offset:
		// An address without quotes: its beginning passes for a number.
		d.valueProblem(offset)
		return
	}
	for _, s := range syntaxTexts {
		if !strings.HasPrefix(message, s.message) {
			continue
		}
		if strings.Contains(s.text, "%") {
			d.problemf(offset, s.text, got)
		} else {
			d.problemf(offset, "%s", s.text)
		}
		if s.hint != "" {
			d.hintf("%s", s.hint)
		}
		return
	}
	d.problemf(offset, "not TOML: %s", message)
}

// valueProblem reports a word that is no value: most often text without quotes.
func (d *document) valueProblem(offset int) {
	// The parser points behind the digits of a word such as 10s.
	offset = d.startOfWord(offset)
	word := d.wordAt(offset)
	switch strings.ToLower(word) {
	case "":
		d.problemf(offset, "want a value, got %s", d.tokenAt(offset))
	case "true", "yes", "on":
		d.problemf(offset, "%s is not a value, did you mean true?", word)
	case "false", "no", "off":
		d.problemf(offset, "%s is not a value, did you mean false?", word)
	default:
		d.problemf(offset, "%s is not a value", quote(word))
		d.hintf("text stands in straight quotes: %s", quote(strings.Trim(word, "“”„‘’`'\"")))
	}
}

// startOfWord is where the value that holds the offset begins.
func (d *document) startOfWord(offset int) int {
	for offset > 0 && !strings.ContainsRune(" \t\r\n=[{,\"']}", rune(d.src[offset-1])) {
		offset--
	}
	return offset
}

// wordAt is what stands at the offset up to the next space or separator.
func (d *document) wordAt(offset int) string {
	word := string(d.src[offset:])
	if end := strings.IndexAny(word, " \t\r\n,]}#"); end >= 0 {
		word = word[:end]
	}
	return word
}

// loneReturn is a line end of old Macs, which TOML does not know.
const loneReturn = "a carriage return"

// tokenAt is what stands at the offset, for after "got".
func (d *document) tokenAt(offset int) string {
	if offset >= len(d.src) {
		return "the end of the file"
	}
	rest := string(d.src[offset:])
	switch {
	case rest[0] == '\n' || strings.HasPrefix(rest, "\r\n"):
		return "the end of the line"
	case rest[0] == '\r':
		return loneReturn
	case rest[0] == '\\' && len(rest) > 1 && 'a' <= rest[1]|0x20 && rest[1]|0x20 <= 'z':
		return rest[:2]
	}
	if word := strings.Trim(d.wordAt(offset), `"'`); word != "" {
		return quote(word)
	}
	return rest[:1]
}
