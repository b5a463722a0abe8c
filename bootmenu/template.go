package bootmenu

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"text/template"
)

// maxText bounds what one template may grow to, in bytes.
const maxText = 1 << 20

// values are what a template knows. All that a machine itself can put in are
// numbers: a MAC, an address, an identifier, a serial number.
func (d Decision) values(m Machine, server netip.Addr) map[string]any {
	return map[string]any{
		"MAC":     m.MAC.String(),
		"IP":      addrText(m.Addr),
		"Server":  addrText(server),
		"ID":      m.ID.String(),
		"Serial":  m.Serial,
		"Arch":    m.Arch.String(),
		"Profile": d.Profile,
		"Vars":    d.Vars,
	}
}

// addrText is an address, or empty if it is unknown.
func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// For is d with its command line written for machine m, which asks the server at
// that address. The error says what is wrong with the template, or with what became
// of it.
func (d Decision) For(m Machine, server netip.Addr) (Decision, error) {
	if !strings.Contains(d.Boot.Cmdline, "{{") {
		return d, nil
	}
	text, err := expand(d.Boot.Cmdline, d.values(m, server))
	if err != nil {
		return d, err
	}
	d.Boot.Cmdline = string(text)
	if err := CheckCmdline(d.Boot.Cmdline); err != nil {
		return d, fmt.Errorf("the command line becomes %q: %w", d.Boot.Cmdline, err)
	}
	return d, nil
}

// Write is the text that the profile of d has written for machine m, which asks the
// server at that address. ok is false if there is none of that name.
func (d Decision) Write(name string, m Machine, server netip.Addr) (text []byte, ok bool, err error) {
	for _, t := range d.Texts {
		if t.Name == name {
			text, err := expand(t.Template, d.values(m, server))
			return text, true, err
		}
	}
	return nil, false, nil
}

// CheckTemplate returns an error unless text is a template that can be written for
// a machine of profile p.
func CheckTemplate(p *Profile, text string) error {
	_, err := expand(text, sampleDecision(p).values(sampleMachine, sampleServer))
	return err
}

// CheckCmdlineTemplate returns an error unless text is a template of a command line
// that can be written for a machine of profile p.
func CheckCmdlineTemplate(p *Profile, text string) error {
	d := sampleDecision(p)
	d.Boot.Cmdline = text
	_, err := d.For(sampleMachine, sampleServer)
	return err
}

// sampleMachine is one of which everything is known.
var (
	sampleMachine = Machine{
		MAC: MACFromBytes([]byte{0x52, 0x54, 0, 0x12, 0x34, 0x56}), ID: ID{0: 1, 15: 1}, Serial: "0123abcd", Arch: ArchRPi,
		Addr: netip.MustParseAddr("192.0.2.100"),
	}
	sampleServer = netip.MustParseAddr("192.0.2.1")
)

func sampleDecision(p *Profile) Decision {
	return Decision{Profile: p.Name, Title: p.Title, Vars: p.Vars, Texts: p.Texts}
}

// CheckTexts returns an error unless the loaders of machines of that arch could be
// told what profile p boots there.
func CheckTexts(p *Profile, a Arch) error {
	m := sampleMachine
	m.Arch = a
	d := sampleDecision(p)
	d.Boot = p.BootFor(m)
	d, err := d.For(m, sampleServer)
	if err != nil {
		return err
	}
	if d.Boot.Kernel == "" {
		return nil
	}
	switch fw, kind := a.Firmware(), d.Boot.LoaderOn(a); {
	case fw == FirmwareRPi:
		_, err = RPiConfig(d)
	case fw == FirmwareUBoot:
		_, err = UBootScript(d, m)
	case kind == LoaderGRUB || kind == LoaderShim:
		_, err = GRUBConfig(d, m)
	case kind == LoaderPXELINUX:
		_, err = PXELINUXConfig(d, m, false)
	}
	return err
}

// missingKey is how text/template says that a variable is unknown.
var missingKey = regexp.MustCompile(`at <\$?([^>]+)>: (map has no entry for key|nil data; no entry for key)`)

// templateAt is how an error of text/template begins.
var templateAt = regexp.MustCompile(`^template: [^:]*:(\d+)(:\d+)?: (executing "[^"]*" )?`)

// expand writes a template. It has the functions of the language and no others,
// none of which reaches anything outside.
func expand(text string, values map[string]any) ([]byte, error) {
	t, err := template.New("text").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, plainTemplateError(text, err)
	}
	out := &boundedText{}
	if err := t.Execute(out, values); err != nil {
		return nil, plainTemplateError(text, err)
	}
	return out.Bytes(), nil
}

// boundedText is a text that does not grow without end.
type boundedText struct{ bytes.Buffer }

// errTooLong is a text that has grown too long.
var errTooLong = fmt.Errorf("it becomes longer than %d bytes", maxText)

// Write implements io.Writer.
func (b *boundedText) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxText {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

// plainTemplateError is an error of text/template in our words. It names the line
// if the template has several.
func plainTemplateError(text string, err error) error {
	why := templateAt.ReplaceAllString(err.Error(), "")
	if m := missingKey.FindStringSubmatch(err.Error()); m != nil {
		why = fmt.Sprintf("unknown variable %s, there is .MAC, .IP, .Server, .ID, .Serial, .Arch, .Profile and what stands in [vars], as .Vars.name", m[1])
	} else if errors.Is(err, errTooLong) {
		why = errTooLong.Error()
	}
	if at := templateAt.FindStringSubmatch(err.Error()); at != nil && strings.Contains(text, "\n") {
		return fmt.Errorf("line %s of it: %s", at[1], why)
	}
	return errors.New(why)
}
