package dhcpproxy

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netbootd/bootmenu"
)

// An exchange is one request of a client class and what it gets. Both are files
// in testdata, in the directory of the class.
type exchange struct {
	class, req string
	in         Ingress
	reply      string          // empty: silence
	reason     bootmenu.Reason // why
}

var exchanges = []exchange{
	{"bios-rom", "discover", on67(), "offer", ""},
	{"bios-rom", "lease-request", on67(), "", ReasonLeaseRequest},
	{"bios-rom", "request-4011", on4011("198.18.0.50:68"), "ack-4011", ""},
	{"ovmf-x64", "discover", on67(), "offer", ""},
	{"ovmf-x64", "lease-request", on67(), "", ReasonLeaseRequest},
	{"ovmf-x64", "request-4011", on4011("198.18.0.107:4011"), "ack-4011", ""},
	{"ovmf-menu", "discover", on67(), "offer", ""},
	{"ovmf-menu", "request-4011", on4011("198.18.0.107:4011"), "ack-4011", ""},
	{"ovmf-disk", "discover", on67(), "offer", ""},
	{"ovmf-http", "discover", on67(), "", ReasonHTTPClient},
	{"ipxe-x64", "discover", on67(), "offer", ""},
	{"ipxe-rom", "discover", on67(), "offer", ""},
	{"ipxe-menu", "discover", on67(), "offer", ""},
	{"ipxe-menu", "request-4011", on4011("198.18.0.107:68"), "ack-4011", ""},
	{"foreign-class", "discover", on67(), "offer", ""}, // an iPXE that calls itself something else
	{"undionly", "discover", on67(), "offer", ""},      // its vendor class tells no arch
	{"rpi-3", "discover", on67(), "offer", ""},
	{"rpi-4", "discover", on67(), "offer", ""},
	{"rpi-4", "lease-request", on67(), "", ReasonNotPXE},
	{"rpi-5", "discover", on67(), "offer", ""},
	{"u-boot", "discover", on67(), "offer", ""},
	{"u-boot-efi", "discover", on67(), "offer", ""},
	{"barebox", "discover", on67(), "", ReasonBarebox},
	{"relay", "discover", on67(), "offer", ""},
	{"plain-dhcp", "discover-windows", on67(), "", ReasonNotPXE},
	{"plain-dhcp", "discover-bare", on67(), "", ReasonNotPXE},
}

// TestClientClasses gives the decision what the firmware of each class sends, and
// compares the reply byte for byte with the file, whose second line says where it
// comes from: recorded ones are those that real firmware followed to a running
// kernel. Write the others anew with UPDATE=1.
func TestClientClasses(t *testing.T) {
	t.Parallel()
	for _, e := range exchanges {
		req := parse(t, readHex(t, e.class+"/"+e.req))
		v := testResponder(t).Answer(req, e.in, offeredMenu(t))
		switch {
		case e.reply == "":
			if v.Reply != nil || v.Reason != e.reason {
				t.Errorf("%s %s: got %v, %q, want silence, %q", e.class, e.req, v.Reply, v.Reason, e.reason)
			}
		case v.Reply == nil:
			t.Errorf("%s %s: silence: %s", e.class, e.req, v.Why)
		default:
			e.compare(t, v.Reply.Append(nil, req))
		}
	}
}

// compare compares a reply with its file.
func (e exchange) compare(t *testing.T, got []byte) {
	t.Helper()
	name := e.class + "/" + e.reply
	if os.Getenv("UPDATE") != "" {
		writeReply(t, name, e.req, got)
	}
	if want := readHex(t, name); !bytes.Equal(got, want) {
		text := func(packet []byte) (lines []string) {
			for _, f := range Describe(packet) {
				lines = append(lines, f.Name+" "+f.Value)
			}
			return lines
		}
		t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(text(want), text(got)))
	}
}

// writeReply writes the file of a reply, unless that was recorded.
func writeReply(t *testing.T, name, req string, packet []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".hex")
	if old, err := os.ReadFile(file); err == nil && strings.Contains(string(old), "# source: recorded") {
		return
	}
	var sb strings.Builder
	fmt.Fprintf(&sb, "# what netbootd sends on %s.hex\n# source: written by netbootd, no firmware has followed it here\n", req)
	for _, f := range Describe(packet) {
		fmt.Fprintf(&sb, "% x  # %s\n", f.Raw, strings.TrimSpace(f.Name+" "+f.Value))
	}
	if err := os.WriteFile(file, []byte(sb.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// sourceLine is the second line of a packet in testdata.
var sourceLine = regexp.MustCompile(`^# source: (recorded|written) `)

// TestPacketsSayWhereTheyComeFrom looks at every file in testdata: it is used,
// says where it comes from, and has a comment for each field.
func TestPacketsSayWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	var used []string
	for _, e := range exchanges {
		used = append(used, e.class+"/"+e.req, e.class+"/"+e.reply)
	}
	found := 0
	err := fs.WalkDir(os.DirFS("testdata"), ".", func(path string, d fs.DirEntry, err error) error {
		name, isPacket := strings.CutSuffix(path, ".hex")
		if err != nil || !isPacket {
			return err
		}
		found++
		if !slices.Contains(used, name) {
			t.Errorf("%s: no exchange is of this packet", path)
		}
		b, err := os.ReadFile(filepath.Join("testdata", path))
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		if len(lines) < 3 || !sourceLine.MatchString(lines[1]) {
			t.Errorf("%s: the second line does not say where it comes from", path)
		}
		for i, line := range lines {
			digits, comment, _ := strings.Cut(line, "#")
			if strings.TrimSpace(comment) == "" {
				t.Errorf("%s:%d: no comment", path, i+1)
			}
			field, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
			if err != nil || i < 2 && len(field) > 0 {
				t.Errorf("%s:%d: %q is no field", path, i+1, digits)
			}
		}
		return err
	})
	if err != nil || found < len(exchanges) {
		t.Errorf("%d packets, %v", found, err)
	}
}
