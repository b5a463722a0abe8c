//go:build linux

package lab

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// ubootImage is U-Boot for QEMU's arm64 board, as Debian's u-boot-qemu keeps it.
const ubootImage = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"

// RequireBoards is [Require] for all that virtual boards use.
func RequireBoards() error {
	return Require("ip", "/dev/net/tun", "qemu-system-aarch64", ubootImage)
}

// A Board is a virtual arm64 board that is powered on, with 1 GiB of memory
// from address 0x40000000 and U-Boot in its flash. It boots nothing: U-Boot
// waits at its prompt.
type Board struct {
	Machine

	typed int // commands so far
}

// PowerOnBoard connects a board to the network, starts it and returns when
// U-Boot answers at its prompt. onLine, if not nil, is called with each line of
// its console.
func (n *Network) PowerOnBoard(ctx context.Context, onLine func(string)) (*Board, error) {
	tap, err := n.addTap()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("qemu-system-aarch64", slices.Concat(boardHardware, []string{
		"-netdev", "tap,id=wire,script=no,downscript=no,ifname=" + tap,
		// Not virtio: with U-Boot 2023.01 a burst that uses up the 32 receive
		// buffers of its driver, as a TFTP window of 64 does, was the last that the
		// board ever received, as if QEMU were not told of buffers put back.
		"-device", "e1000,netdev=wire,romfile=",
	})...)
	m, err := n.emulate(cmd, onLine)
	if err != nil {
		return nil, err
	}
	b := &Board{Machine: *m}
	if err := b.stopAutoboot(ctx); err != nil {
		b.PowerOff()
		return nil, err
	}
	return b, nil
}

// WriteDeviceTree writes the device tree of such a board into a file.
func WriteDeviceTree(ctx context.Context, file string) error {
	out, err := exec.CommandContext(ctx, "qemu-system-aarch64", slices.Concat(boardHardware, []string{"-machine", "dumpdtb=" + file})...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("device tree of the board: %w: %s", err, out)
	}
	return nil
}

// boardHardware are the emulator's arguments that make the board what it is.
var boardHardware = []string{
	"-machine", "virt,accel=tcg", "-cpu", "cortex-a57", "-m", "1024", "-bios", ubootImage,
	"-no-reboot", "-nographic", "-monitor", "none", "-serial", "stdio",
}

// stopAutoboot presses keys before U-Boot looks for one: it counts down two
// seconds only, which a busy machine may oversleep.
func (b *Board) stopAutoboot(ctx context.Context) error {
	// More than get lost: the serial port holds 16, and U-Boot empties it when
	// it sets it up, before and after it has moved itself into memory. The rest
	// waits outside. At the prompt spaces do no harm.
	if err := b.Type(strings.Repeat(" ", 64)); err != nil {
		return err
	}
	_, err := b.Console.WaitFor(ctx, regexp.MustCompile(`^=>`))
	return err
}

// Run types a command at U-Boot's prompt and returns what it printed, when it
// has ended. That it failed is an error too.
func (b *Board) Run(ctx context.Context, command string) (output []string, err error) {
	b.typed++
	// Each command tells its end in words of its own, because the prompt is the
	// same for all. An `echo $?` behind it was seen to tell of the line before.
	line := fmt.Sprintf("if %s; then echo command %d succeeded; else echo command %[2]d failed; fi", command, b.typed)
	if err := b.Type(line + "\n"); err != nil {
		return nil, fmt.Errorf("type %q: %w", command, err)
	}
	end := regexp.MustCompile(fmt.Sprintf(`^command %d (succeeded|failed)$`, b.typed))
	m, err := b.Console.WaitFor(ctx, end)
	if err != nil {
		return nil, fmt.Errorf("U-Boot's %q: %w", command, err)
	}
	output = between(b.Console.Lines(), line, m[0])
	if m[1] == "failed" {
		return output, fmt.Errorf("U-Boot's %q failed:\n%s", command, strings.Join(output, "\n"))
	}
	return output, nil
}

// between returns the lines after the one that ends with echo, up to the line
// end, which need not be there yet.
func between(lines []string, echo, end string) (found []string) {
	inside := false
	for _, l := range lines {
		switch {
		case l == end:
			return found
		case inside:
			found = append(found, l)
		case strings.HasSuffix(l, echo):
			inside = true
		}
	}
	return found
}
