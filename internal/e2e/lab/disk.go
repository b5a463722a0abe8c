//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// What programs for virtual PCs are made from.
const (
	grubMkimage  = "grub-mkimage"
	grubForEFI   = "/usr/lib/grub/x86_64-efi"
	sectorSize   = 512
	biosDiskSize = 2048 * sectorSize
)

// RequirePrograms is [Require] for all that programs and disks are made with.
func RequirePrograms() error { return Require(grubMkimage, grubForEFI+"/echo.mod") }

// BIOSProgram is a program that shows a text and halts. A BIOS starts it as an NBP,
// and as the first sector of a disk: both lie at 0x7c00.
func BIOSProgram(text string) []byte {
	code := []byte{
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0xfc,             // cld
		0xfb,             // sti: the BIOS writes the last letters beside it
		0xbe, 0x1a, 0x7c, // mov si, 0x7c1a: the text
		0xbb, 0x07, 0x00, // mov bx, 7
		0xac,       // next: lodsb
		0xb4, 0x0e, // mov ah, 0x0e: teletype output
		0x84, 0xc0, // test al, al
		0x74, 0x04, // jz done
		0xcd, 0x10, // int 0x10
		0xeb, 0xf5, // jmp next
		0xf4,       // done: hlt
		0xeb, 0xfd, // jmp done
	}
	program := make([]byte, sectorSize)
	copy(program, code)
	copy(program[len(code):], "\r\n"+text+"\r\n\x00")
	program[sectorSize-2], program[sectorSize-1] = 0x55, 0xaa // a disk without it is no bootable one
	return program
}

// MakeEFIProgram writes a program for UEFI x64 that shows a text and then waits: a
// GRUB with nothing else in it.
func MakeEFIProgram(ctx context.Context, file, text string) error {
	script, err := tempFile("echo-*.cfg", fmt.Sprintf("echo '%s'\n", text))
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, grubMkimage, "--format", "x86_64-efi", "--directory", grubForEFI,
		"--prefix", "/", "--config", script, "--output", file, "echo").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", grubMkimage, err, out)
	}
	return nil
}

// MakeDisk makes a disk for a PC with that firmware, from which a program starts that
// shows a text. It goes into a new file or directory in dir, whose name is what
// [PC] wants.
func MakeDisk(ctx context.Context, dir string, f Firmware, text string) (string, error) {
	if f == BIOSiPXE || f == BIOSPlainPXE {
		disk := filepath.Join(dir, "disk.img")
		return disk, os.WriteFile(disk, append(BIOSProgram(text), make([]byte, biosDiskSize-sectorSize)...), 0o644)
	}
	// The emulator makes a disk with a FAT file system of a directory.
	disk := filepath.Join(dir, "disk")
	if err := os.MkdirAll(filepath.Join(disk, "EFI", "BOOT"), 0o755); err != nil {
		return "", err
	}
	return "fat:" + disk, MakeEFIProgram(ctx, filepath.Join(disk, "EFI", "BOOT", "BOOTX64.EFI"), text)
}
