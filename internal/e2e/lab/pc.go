//go:build linux

package lab

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Firmware is what a virtual PC starts with.
type Firmware int

const (
	// BIOSiPXE is a BIOS whose network card carries an iPXE ROM, as QEMU's do.
	BIOSiPXE Firmware = iota
	// BIOSPlainPXE is a BIOS client that does not call itself iPXE, so that a
	// server must send it undionly.kpxe first.
	BIOSPlainPXE
	// UEFI is OVMF for x64 with its own PXE client.
	UEFI
	// UEFIiPXE is OVMF for x64 whose network card carries iPXE's EFI driver, which
	// takes the place of OVMF's PXE client.
	UEFIiPXE
)

// String names the firmware as test names and messages do.
func (f Firmware) String() string {
	switch f {
	case BIOSiPXE:
		return "BIOS with an iPXE ROM"
	case BIOSPlainPXE:
		return "BIOS with plain PXE"
	case UEFI:
		return "UEFI"
	case UEFIiPXE:
		return "UEFI with an iPXE ROM"
	}
	return fmt.Sprintf("Firmware(%d)", int(f))
}

// Where Debian's packages keep the firmware.
const (
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	ipxeLkrn = "/usr/lib/ipxe/ipxe.lkrn"
)

// plainPXEScript makes iPXE look like another vendor's PXE ROM: a server goes
// by the user class (option 77), and a class other than "iPXE" is believed. It
// takes the class back before it starts what the proxy named, because iPXE
// hands all its settings on to undionly.kpxe, which would then not call itself
// iPXE either.
const plainPXEScript = `#!ipxe
set user-class plain-pxe
dhcp
clear user-class
chain tftp://${proxydhcp/next-server}/${proxydhcp/filename}
`

// A PC describes a virtual PC.
type PC struct {
	Firmware Firmware
	// Disk is what [MakeDisk] made; empty: it has none. The network comes before it.
	Disk string
	// MAC of its network card; default 52:54:00:12:34:56, QEMU's own range.
	MAC string
	// OnLine, if not nil, is called with each line of its console.
	OnLine func(string)
}

// memoryMiB is enough for the Debian installer, whose initrd of 41 MB unpacks
// to four times as much while the packed one is still there.
const memoryMiB = "1024"

// A Machine is a virtual PC that is powered on.
type Machine struct {
	// Console is what its serial console shows.
	Console *Transcript
	// Process is the emulator.
	Process *Process

	keyboard io.Writer // its serial line
}

// Type sends keys as a terminal on the serial line does: text, Enter ("\r"), and
// the keys that terminals have sequences for.
func (m *Machine) Type(keys string) error {
	_, err := io.WriteString(m.keyboard, keys)
	return err
}

// Keys that move through a menu.
const (
	KeyUp   = "\x1b[A"
	KeyDown = "\x1b[B"
	KeyEnd  = "\x1b[F"
)

// PowerOn connects a PC to the network and starts it. It boots from the network
// and powers off instead of restarting. Without KVM on purpose: it is missing
// or nested, and then unreliable, on the machines that run tests.
func (n *Network) PowerOn(pc PC) (*Machine, error) {
	tap, err := n.addTap()
	if err != nil {
		return nil, err
	}
	if pc.MAC == "" {
		pc.MAC = "52:54:00:12:34:56"
	}
	card := "virtio-net-pci,netdev=wire,mac=" + pc.MAC
	args := []string{
		"-machine", "q35,accel=tcg", "-m", memoryMiB, "-no-reboot",
		"-nographic", "-monitor", "none", "-serial", "stdio",
		"-netdev", "tap,id=wire,script=no,downscript=no,ifname=" + tap,
	}
	switch pc.Firmware {
	case BIOSiPXE:
		args = append(args, "-device", card+",bootindex=0")
	case BIOSPlainPXE:
		script, err := tempFile("plain-pxe-*.ipxe", plainPXEScript)
		if err != nil {
			return nil, err
		}
		args = append(args, "-device", card+",romfile=", "-kernel", ipxeLkrn, "-initrd", script)
	case UEFI, UEFIiPXE:
		vars, err := copyToTemp(ovmfVars)
		if err != nil {
			return nil, err
		}
		card += ",bootindex=0"
		if pc.Firmware == UEFI {
			card += ",romfile=" // no option ROM, whose iPXE would hide OVMF's own client
		}
		args = append(args, "-device", card,
			"-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+ovmfCode,
			"-drive", "if=pflash,format=raw,unit=1,file="+vars)
	default:
		return nil, fmt.Errorf("no virtual PC with firmware %v", pc.Firmware)
	}
	if pc.Disk != "" {
		args = append(args, "-drive", "if=none,id=disk,format=raw,readonly=on,file="+pc.Disk, "-device", "virtio-blk-pci,drive=disk,bootindex=1")
	}
	return n.emulate(exec.Command("qemu-system-x86_64", args...), pc.OnLine)
}

// emulate starts a machine whose serial line is the emulator's standard input and
// output.
func (n *Network) emulate(cmd *exec.Cmd, onLine func(string)) (*Machine, error) {
	keyboard, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p, err := n.StartCommand(cmd, Options{Name: "qemu", OnStdout: onLine})
	if err != nil {
		return nil, err
	}
	return &Machine{Console: p.Stdout, Process: p, keyboard: keyboard}, nil
}

// PowerOff pulls the plug.
func (m *Machine) PowerOff() { m.Process.Stop() }

// addTap makes an interface on the bridge for one virtual PC.
func (n *Network) addTap() (string, error) {
	n.mu.Lock()
	tap := fmt.Sprintf("%s-pc%d", n.name, n.pcs)
	n.pcs++
	n.mu.Unlock()
	return tap, ipBatch("", "tuntap add dev "+tap+" mode tap",
		"link set "+tap+" master "+n.bridge()+" up")
}

func tempFile(pattern, text string) (string, error) {
	f, err := os.CreateTemp("", pattern)
	if err != nil {
		return "", err
	}
	_, err = io.WriteString(f, text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return f.Name(), err
}

// copyToTemp gives a PC its own copy of a file that it writes to.
func copyToTemp(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return tempFile("*-"+filepath.Base(path), string(content))
}
