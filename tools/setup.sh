#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# setup.sh demo|check|bench|check-vm|check-install BUILD-DIR - install the Debian packages that building and
#	running need
#
# Done once, for the demo once for each kernel: leaves a stamp in BUILD-DIR. Needs neither the network nor
# root when nothing is missing.

set -eu

what=${1:?usage: setup.sh demo|check|bench|check-vm|check-install BUILD-DIR}
build=${2:?usage: setup.sh demo|check|bench|check-vm|check-install BUILD-DIR}

# What the binary and the demo need.
packages=(gcc libc6-dev make pkg-config libbpf-dev libnl-3-dev libpcap-dev
	  iptables iproute2 iputils-ping netcat-openbsd procps util-linux)
# What the tests need besides: the harness, nat and conntrack to look at.
[ "$what" = demo ] ||
	packages+=(linux-source-6.1 xz-utils nftables conntrack ipset nfacct)
# What draws the benchmark's plots.
[ "$what" != bench ] || packages+=(gnuplot-nox)
# What virtual machines need: the emulator, what makes an initramfs, and what judges the module's style.
[ "$what" != check-vm ] ||
	packages+=(qemu-system-x86 cpio kmod binutils debian-archive-keyring perl)
# What makes a Debian tree, in which all else is installed.
[ "$what" != check-install ] ||
	packages=(debootstrap util-linux)

die() {
	echo "setup: $*" >&2
	exit 1
}

# demo and check both end in namespaces and eBPF; say so before anything is built.
[ "$(id -u)" = 0 ] || die "this needs root, for network namespaces and eBPF: sudo make $what"

stamp=$build/.setup-$what
[ "$what" != demo ] || stamp+=-$(uname -r)
[ "$stamp" -nt "$0" ] && exit 0

missing=()
if command -v dpkg-query >/dev/null; then
	for p in "${packages[@]}"; do
		dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q ' installed$' ||
			missing+=("$p")
	done
else
	die "this is not Debian: install what corresponds to ${packages[*]}, then touch $stamp"
fi

export DEBIAN_FRONTEND=noninteractive
get=(apt-get -o Dpkg::Use-Pty=0 -qq -y --no-install-recommends)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The package lists may be absent or out of date: try, update, try again.
install() {
	echo "setup: installing $*"
	"${get[@]}" install "$@" >"$log" 2>&1 ||
		{ "${get[@]}" update >"$log" 2>&1 && "${get[@]}" install "$@" >"$log" 2>&1; }
}

if [ ${#missing[@]} -gt 0 ]; then
	install "${missing[@]}" || {
		cat "$log" >&2
		die "apt-get could not install ${missing[*]}: see above"
	}
fi

# What the demo can do without: the module, which needs the headers of the kernel that runs, and a
# kernel that has modules.
headers=linux-headers-$(uname -r)
if [ "$what" = demo ] && [ -e /proc/modules ] && [ ! -e "/lib/modules/$(uname -r)/build/Makefile" ]; then
	install "$headers" kmod ||
		echo "setup: $headers cannot be installed: the demo does without the module"
fi
mkdir -p "$build"
touch "$stamp"
