package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"

	"netbootd/client"
)

// snippets are the lines to type for a file, by what they are typed into.
var snippets = map[string]string{
	"uboot":   "setenv serverip HOST\ntftpboot ${loadaddr} NAME\n",
	"grub":    "insmod tftp\nset root=(tftp,HOST)\nlinux /NAME\n",
	"ipxe":    "chain URL\n",
	"barebox": "global.net.server=HOST\ntftp NAME\n",
}

// snippetLines are those for one file.
func snippetLines(kind string, t client.TFTP, file client.FileInfo) []string {
	host := t.Host
	if host == "" {
		host = "SERVER"
	}
	text := strings.NewReplacer("HOST", host, "NAME", file.Name, "URL", tftpURL(host, t.Port, file.Name)).Replace(snippets[kind])
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, "  "+strings.TrimSuffix(line, "\n"))
	}
	return lines
}

// tftpURLOf is where machines find a file, or empty while TFTP is down.
func tftpURLOf(t client.TFTP, name string) string {
	if !t.Running || t.Host == "" {
		return ""
	}
	return tftpURL(t.Host, t.Port, name)
}

// tftpURL is the address of a file (RFC 3617).
func tftpURL(host string, port uint16, name string) string {
	u := url.URL{Scheme: "tftp", Host: host, Path: "/" + name}
	switch {
	case port != 0 && port != 69:
		u.Host = net.JoinHostPort(host, strconv.Itoa(int(port)))
	case strings.Contains(host, ":"):
		u.Host = "[" + host + "]"
	}
	return u.String()
}

// sumOf is the sha256 of what r has, in hexadecimal.
func sumOf(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
