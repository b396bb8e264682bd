#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel.sh 6.1|6.12|7.2 DIR - fetch that kernel from Debian, and what builds modules for it
#
# DIR receives
#   vmlinuz, release (the text of "uname -r") and lib/modules/, with those modules that the tests may need;
#   tree/, a small root file system of the same release of Debian, to be entered with chroot, with the
#   compiler that the kernel was built with and, in usr/src/linux-headers-RELEASE, its headers.
# Nothing is done if it is all there. Needs no root and changes nothing outside of DIR: see debian.sh.

set -eu -o pipefail

version=${1:?usage: kernel.sh 6.1|6.12|7.2 DIR}
dir=${2:?usage: kernel.sh 6.1|6.12|7.2 DIR}

# shellcheck source=debian.sh
. "$(dirname "$(readlink -f "$0")")/debian.sh"
suites_of "$version"

mkdir -p "$dir"
dir=$(readlink -f "$dir")
apt=$dir/apt

# One at a time; "release" is what is written last.
exec 9>"$dir/lock"
flock 9
[ -d "$dir/tree" ] && [ -s "$dir/release" ] && exit 0

# The small flavour for virtual machines: it boots in half the time and has all that is tested here.
meta=linux-image-cloud-amd64
find_archive

# The packages that the meta package $1 stands for in suite $2: the kernel's, none of the tools.
members() {
	apt_in "$2" apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts \
		--no-breaks --no-replaces --no-enhances "$1" 2>/dev/null |
		grep -E '^linux-(image|base|binary|modules)-[0-9]' | sort -u
}

# Look into the suite. Sets packages if it has the version, else says what it has instead.
look_into() {
	read_lists "$1" || return 1
	mapfile -t packages < <(members "$meta" "$1")
	if [[ "${packages[*]}" != *linux-image-$version.* ]]; then
		echo "kernel.sh: $meta in suite $1 is not $version but ${packages[*]:-missing}" >&2
		return 1
	fi
}

found=
for suite in "${suites[@]}"; do
	if look_into "$suite"; then
		found=$suite
		break
	fi
done
[ -n "$found" ] || die "Linux $version could not be had, see above"

echo "kernel.sh: Linux $version from Debian $found: ${packages[*]}" >&2
rm -rf "${dir:?}"/{debs,unpacked,lib,tree,release}
mkdir -p "$dir"/debs/{kernel,tree} "$dir/unpacked"

# fetch FOLDER COMMAND...: the packages into that folder.
fetch() {
	(cd "$dir/debs/$1" && apt_in "$found" apt-get --no-install-recommends -y "${@:2}" \
		-o Dir::Cache::archives="$dir/debs/$1") >"$apt/log" 2>&1 || {
		cat "$apt/log" >&2
		die "the packages could not be fetched"
	}
}

# version_of FOLDER NAME: of a package that was fetched.
version_of() {
	dpkg-deb -f "$dir/debs/$1/$2"_*.deb Version
}

# Those of the headers by name alone: as a dependency they have the kernel's package, and that has
# what makes an initramfs. What they need of compiler and tools is among their dependencies.
make_tree() {
	local image=$1 headers common deb d
	local -a tools=(bash coreutils dash diffutils findutils grep gzip make mawk perl-base sed sparse
			xz-utils)

	headers=linux-headers-${image#linux-image-}
	common=${headers%-cloud-amd64}-common
	mapfile -t -O ${#tools[@]} tools < <(apt_in "$found" apt-cache show "$headers" 2>/dev/null |
		grep '^Depends:' | grep -oE '(linux-kbuild|linux-compiler-gcc|gcc)-[0-9][^ ,]*' | sort -u)
	fetch tree install --download-only "${tools[@]}"
	fetch tree download "$headers" "$common"
	for d in "$headers" "$common"; do
		[ "$(version_of tree "$d")" = "$(version_of kernel "$image")" ] ||
			die "$d is not of the version of $image"
	done

	mkdir -p "$dir"/tree.new/{dev,proc,sys,tmp,build,usr/{bin,sbin,lib,lib64}}
	for d in bin sbin lib lib64; do
		ln -s "usr/$d" "$dir/tree.new/$d"
	done
	for deb in "$dir"/debs/tree/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir/tree.new" --keep-directory-symlink \
			--exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
			--exclude='./usr/share/locale/*'
	done
	# A package's alternative, which its installation would have chosen.
	ln -sf mawk "$dir/tree.new/usr/bin/awk"
}

rm -rf "$dir/tree.new"
fetch kernel download "${packages[@]}"
for deb in "$dir"/debs/kernel/*.deb; do
	dpkg-deb -x "$deb" "$dir/unpacked"
done
make_tree "$(printf '%s\n' "${packages[@]}" | grep '^linux-image-')"

# Newer packages have all of it below /usr/lib.
for modules in "$dir"/unpacked/lib/modules/* "$dir"/unpacked/usr/lib/modules/*; do
	[ ! -d "$modules/kernel" ] || break
done
release=${modules##*/}
vmlinuz=$dir/unpacked/boot/vmlinuz-$release
[ -f "$vmlinuz" ] || vmlinuz=$modules/vmlinuz
cp "$vmlinuz" "$dir/vmlinuz"

# Of the modules all that have to do with the network layer, and what those depend on. Compressed
# ones are unpacked here, where it is faster than in the machine.
all=$dir/unpacked/all
mkdir -p "$all/lib/modules"
mv "$modules" "$all/lib/modules/"
modules=$all/lib/modules/$release
find "$modules" -name '*.ko.xz' -exec xz -d {} +
depmod -b "$all" "$release"
wanted='^kernel/net/(bridge|core|ipv4|ipv6|key|netfilter|netlink|packet|sched|unix|xfrm)/'
wanted+='|^kernel/drivers/net/(veth|tun|dummy)\.ko|^kernel/lib/ts_'
awk -F '[: ]+' -v wanted="$wanted" '
	$1 ~ wanted { for (i = 1; i <= NF; i++) if ($i != "") print $i }
' "$modules/modules.dep" | sort -u >"$dir/list"
(cd "$modules" && cpio -pdm --quiet "$dir/lib/modules/$release" <"$dir/list")
cp "$modules"/modules.builtin* "$modules/modules.order" "$dir/lib/modules/$release/"
depmod -b "$dir" "$release"

[ -d "$dir/tree.new/usr/src/linux-headers-$release" ] || die "the headers are not those of $release"
mv "$dir/tree.new" "$dir/tree"
rm -rf "${dir:?}"/{debs,unpacked,apt,list}
echo "$release" >"$dir/release"
