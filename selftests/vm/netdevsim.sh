#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# netdevsim.sh 6.1|6.12|7.2 DIR - build the kernel's simulated network card for Debian's kernel of that version
#
# DIR receives netdevsim.ko, and the log of the build. Debian's kernels leave it out; its source is in their package
# linux-source, which is fetched once: what is needed of it is kept in $VM_CACHE ($BUILD/vm unless set). Built as
# module.sh builds ours, but for warnings, which are not ours to judge. Needs root, for chroot.

set -eu -o pipefail

here=$(dirname "$(readlink -f "$0")")
cache=${VM_CACHE:-${BUILD:?}/vm}
version=${1:?usage: netdevsim.sh 6.1|6.12|7.2 DIR}
dir=${2:?usage: netdevsim.sh 6.1|6.12|7.2 DIR}

# shellcheck source=debian.sh
. "$here/debian.sh"

"$here/kernel.sh" "$version" "$cache/$version"
home=$(readlink -f "$cache/$version")
release=$(<"$home/release")
apt=$home/apt

mkdir -p "$dir"
dir=$(readlink -f "$dir")
# One at a time, and not beside kernel.sh.
exec 9>"$home/lock"
flock 9

# What of the source is not in the headers.
fetch_source() {
	local suite package=linux-source-$version

	rm -rf "$apt"
	suites_of "$version"
	find_archive
	for suite in "${suites[@]}"; do
		read_lists "$suite" || continue
		(cd "$apt" && apt_in "$suite" apt-get download "$package") >"$apt/log" 2>&1 && break
		cat "$apt/log" >&2
	done
	compgen -G "$apt/$package"_*.deb >/dev/null || die "the package $package could not be had"
	echo "netdevsim.sh: $(cd "$apt" && echo "$package"_*.deb)" >&2
	rm -rf "$home/netdevsim.new"
	mkdir "$home/netdevsim.new"
	dpkg-deb --fsys-tarfile "$apt/$package"_*.deb | tar -xO --wildcards '*/linux-source-*.tar.xz' |
		tar -xJ -C "$home/netdevsim.new" --strip-components=4 --wildcards \
			--no-wildcards-match-slash 'linux-source-*/drivers/net/netdevsim/*'
	mv "$home/netdevsim.new" "$home/netdevsim"
	rm -rf "$apt"
}

[ -d "$home/netdevsim" ] || fetch_source

state=$(echo "$release" && sha256sum "$here/netdevsim.sh" && cd "$home/netdevsim" && sha256sum -- *)
[ -f "$dir/netdevsim.ko" ] && [ "$state" = "$(cat "$dir/netdevsim.state" 2>/dev/null)" ] && exit 0
rm -rf "$dir/netdevsim" "$dir"/netdevsim.{ko,state}
cp -r "$home/netdevsim" "$dir/netdevsim"

# As in module.sh.
unshare --mount --propagation private bash -eu -c '
	mount -t proc proc "$1/proc"
	mount --rbind /dev "$1/dev"
	mount -t tmpfs tmpfs "$1/tmp"
	mount --bind "$2" "$1/build"
	exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin LC_ALL=C \
		make -C "/usr/src/linux-headers-$3" M=/build CONFIG_NETDEVSIM=m modules
' - "$home/tree" "$dir/netdevsim" "$release" >"$dir/netdevsim.log" 2>&1 || {
	tail -n 60 "$dir/netdevsim.log" >&2
	die "netdevsim does not build for $release"
}
mv "$dir/netdevsim/netdevsim.ko" "$dir/"
rm -rf "$dir/netdevsim"
echo "$state" >"$dir/netdevsim.state"
