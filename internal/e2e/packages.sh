#!/bin/sh
# Installs the Debian packages that the demo or the tests need and that are
# missing; says nothing when nothing is.
#
#   packages.sh unit    what the race detector needs, boot files to be recognised, an SSH
#                       server and an OCI registry
#   packages.sh demo    what the virtual network and its PC need
#   packages.sh e2e     the same, TFTP clients, a board with U-Boot and a kernel for it,
#                       Prometheus, and a DHCP relay
#   packages.sh bench   the servers that netbootd is measured against
#
# Nothing in these lists starts a service. Prometheus, the DHCP relay, and the TFTP, SSH and OCI
# servers would, so they are only unpacked, below build/pkg of the repository; so is
# what no machine of this kind would have installed.
set -eu

# Go fetches modules by HTTPS.
go="ca-certificates"
compiler="gcc libc6-dev"
# Tests of what is written for GRUB ask its own parser, and make an image of it.
grub="grub-common grub-efi-amd64-bin"
common="qemu-system-x86 seabios ipxe ipxe-qemu ovmf dnsmasq-base iproute2 debian-installer-12-netboot-amd64"
# atftp looks the port up by name, in a file that netbase brings.
clients="tftp-hpa atftp netbase curl busybox-static"
# Boot files of many kinds.
bootfiles="ipxe pxelinux syslinux-common"
# Loaders that ask by TFTP themselves.
loaders="pxelinux syslinux-common grub-common grub-efi-amd64-bin grub-pc-bin u-boot-tools"
# An arm64 board and its U-Boot.
board="qemu-system-arm u-boot-qemu"
# The libraries are those of the unpacked servers.
peers="dnsmasq-base iproute2 libpcre2-8-0 libwrap0"
sources="libaudit1 libgssapi-krb5-2 libpam0g libselinux1 libssl3 libsystemd0 libwrap0"

usage() {
	echo "usage: $0 unit|demo|e2e|bench" >&2
	exit 2
}

# quietly COMMAND... shows the command's output only if it goes wrong.
quietly() {
	out=$("$@" 2>&1) || {
		status=$?
		printf '%s\n' "$out" >&2
		echo "packages.sh: $* ended with exit code $status" >&2
		exit 1
	}
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "packages.sh: installing packages needs root and there is no sudo; as root run: apt-get install --no-install-recommends$missing" >&2
		exit 1
	fi
}

install_missing() {
	missing=
	for p in "$@"; do
		status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null || true)
		case $status in
		ii*) ;;
		*) missing="$missing $p" ;;
		esac
	done
	[ -n "$missing" ] || return 0
	echo "installing:$missing"
	quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
	# shellcheck disable=SC2086 # a list of words
	quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}

# unpack PACKAGE FILE puts a package into build/pkg/PACKAGE, unless FILE is there
# already. The directory appears complete or not at all.
unpack() {
	pkg=$(cd "$here/../.." && pwd)/build/pkg
	[ ! -e "$pkg/$1/$2" ] || return 0
	echo "unpacking: $1 (into build/pkg, not installed)"
	mkdir -p "$pkg"
	work=$(mktemp -d "$pkg/unpack.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
	cd "$work"
	# A machine that has never fetched the package lists has none to look in.
	apt-cache policy "$1" | grep -q 'Candidate: [0-9]' || quietly as_root apt-get update -q
	# The sandbox user _apt cannot write here.
	quietly apt-get download -q -o APT::Sandbox::User=root "$1"
	quietly dpkg -x ./"$1"_*.deb "$1"
	rm -rf "${pkg:?}/$1"
	mv "$1" "$pkg/$1"
	cd "$pkg"
	rm -rf "$work"
}

here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || usage
case $1 in
unit)
	# shellcheck disable=SC2086 # lists of words
	install_missing $go $compiler $bootfiles $grub $sources
	unpack openssh-server usr/sbin/sshd
	unpack docker-registry usr/bin/docker-registry
	;;
demo)
	# shellcheck disable=SC2086
	install_missing $go $common
	;;
e2e)
	# shellcheck disable=SC2086
	install_missing $go $common $clients $loaders $board
	unpack prometheus usr/bin/promtool
	unpack isc-dhcp-relay usr/sbin/dhcrelay
	unpack debian-installer-12-netboot-arm64 usr/lib/debian-installer/images/12/arm64/text/debian-installer/arm64/linux
	;;
bench)
	# shellcheck disable=SC2086
	install_missing $go $peers
	unpack tftpd-hpa usr/sbin/in.tftpd
	unpack atftpd usr/sbin/atftpd
	;;
*) usage ;;
esac
