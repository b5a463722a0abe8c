package bootmenu

import (
	"net/netip"
	"strings"
	"testing"
)

func TestTemplatesAreWrittenForTheMachine(t *testing.T) {
	t.Parallel()
	pi := Machine{MAC: MACFromBytes([]byte{0xdc, 0xa6, 0x32, 1, 0x36, 0xc2}), Arch: ArchRPi, Addr: netip.MustParseAddr("198.18.0.50"), ID: ID{0: 9, 12: 0xb0, 13: 0x0c, 14: 0x1e, 15: 0x57}, Serial: "b00c1e57"}
	d := Decision{Profile: "pi", Vars: map[string]string{"disk": "/dev/sda"}, Texts: []Text{{"a", "{{ .Serial }} {{ .Profile }}\n"}}}
	d.Boot.Cmdline = "mac={{ .MAC }} ip={{ .IP }} url=http://{{ .Server }}/{{ .Arch }} id={{ .ID }} root={{ .Vars.disk }}"
	got, err := d.For(pi, netip.MustParseAddr("198.18.0.2"))
	if want := "mac=dc:a6:32:01:36:c2 ip=198.18.0.50 url=http://198.18.0.2/rpi id=09000000-0000-0000-0000-0000b00c1e57 root=/dev/sda"; err != nil || got.Boot.Cmdline != want {
		t.Errorf("got %q, %v, want %q", got.Boot.Cmdline, err, want)
	}
	if text, ok, err := d.Write("a", pi, netip.Addr{}); string(text) != "b00c1e57 pi\n" || !ok || err != nil {
		t.Errorf("got %q, %v, %v", text, ok, err)
	}
	if _, ok, _ := d.Write("b", pi, netip.Addr{}); ok {
		t.Error("a text that the profile does not have")
	}
	// Of a machine that nobody knows, all is empty and nothing fails.
	if got, err := d.For(Machine{Arch: ArchUnknown}, netip.Addr{}); err != nil || got.Boot.Cmdline != "mac= ip= url=http:///unknown id= root=/dev/sda" {
		t.Errorf("got %q, %v", got.Boot.Cmdline, err)
	}
}

func TestTemplatesThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	p := &Profile{Name: "p", Vars: map[string]string{"two": "a\nb", "end": "&& reboot"}}
	for text, want := range map[string]string{
		"{{ .HTTP }}":                "unknown variable .HTTP, there is .MAC, .IP, .Server, .ID, .Serial, .Arch, .Profile and what stands in [vars], as .Vars.name",
		"a\n{{ .Vars.nope }}":        "line 2 of it: unknown variable .Vars.nope, there is .MAC, .IP, .Server, .ID, .Serial, .Arch, .Profile and what stands in [vars], as .Vars.name",
		"{{ .MAC":                    "unclosed action",
		"{{ exec \"sh\" }}":          `function "exec" not defined`,
		`{{ printf "%2000000d" 1 }}`: "it becomes longer than 1048576 bytes",
		`{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`: "at <{{template \"a\"}}>: exceeded maximum template depth (100000)",
	} {
		if err := CheckTemplate(p, text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"{{ .Vars.two }}": "the command line becomes \"a\\nb\": a command line is one line without control characters",
		"{{ .Vars.end }}": "the command line becomes \"&& reboot\": iPXE would end the command at the word \"&&\"",
	} {
		if err := CheckCmdlineTemplate(p, text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if err := CheckTemplate(p, strings.Repeat("{{ .MAC }} {{ .Vars.end }}\n", 9)); err != nil {
		t.Error(err)
	}
}
