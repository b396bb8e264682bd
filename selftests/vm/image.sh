#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# image.sh KERNEL-DIR CACHE-DIR OUT - make the initramfs that the tests run in
#
# A root file system of this machine's own programs, with the libraries that they need, the kernel's
# modules from KERNEL-DIR, and this project's scripts and test programs below /bpfilter. $BUILD is
# where the latter were built. What comes from the machine is kept in CACHE-DIR and made again
# when a package has changed.

set -eu

kernel=${1:?usage: image.sh KERNEL-DIR CACHE-DIR OUT}
cache=${2:?usage: image.sh KERNEL-DIR CACHE-DIR OUT}
out=${3:?usage: image.sh KERNEL-DIR CACHE-DIR OUT}
: "${BUILD:?}"
top=$(readlink -f "$(dirname "$0")/../..")

# The packages whose programs the scripts call, or somebody looks for who looks around in there.
packages=(bash coreutils dash diffutils findutils grep mawk mount procps sed util-linux
	  conntrack iproute2 iptables iputils-ping kmod netcat-openbsd nftables)

# libraries ROOT FILE...: copy what the files are linked with to where it is here.
libraries() {
	local lib

	ldd "${@:2}" 2>/dev/null | grep -oE '/[^ :]+\.so[^ :]*' | sort -u | while read -r lib; do
		[ -e "$1$lib" ] || cp -L --parents "$lib" "$1"
	done
}

make_tools() {
	local root=$1 d path
	local -a files

	rm -rf "$root"
	mkdir -p "$root"/{dev,proc,sys,run,tmp,root,etc,var/lib,usr/{bin,sbin,lib,lib64}}
	for d in bin sbin lib lib64; do
		ln -s "usr/$d" "$root/$d"
	done
	ln -s ../run "$root/var/run"
	# Programs, and the extensions of iptables, which it loads by name. What is chosen by
	# alternatives is no package's.
	mapfile -t files < <(dpkg -L "${packages[@]}" |
		grep -E '^(/usr)?/s?bin/[^/]+$|/xtables/lib.*\.so$')
	files+=("$(type -P awk)" "$(type -P nc)")
	for path in /etc/protocols /etc/services /etc/nsswitch.conf /etc/passwd /etc/group \
		    /etc/iproute2/*; do
		[ ! -f "$path" ] || files+=("$path")
	done
	cp -L --parents "${files[@]}" "$root"
	libraries "$root" "${files[@]}"
}

# The project as the tests see it: the clone, with what was built in build/.
make_project() {
	local to=$1/bpfilter program
	local -a programs

	mkdir -p "$to/build"
	(cd "$top" && cp -a --parents README.md demo docs selftests/*.sh selftests/e2e \
		selftests/rules selftests/vm "$to")
	(cd "$BUILD" && find bpfilter selftests -type f -perm -u+x) >"$cache/programs"
	while read -r program; do
		mkdir -p "$(dirname "$to/build/$program")"
		strip -o "$to/build/$program" "$BUILD/$program"
	done <"$cache/programs"
	mapfile -t programs < <(sed "s,^,$to/build/," "$cache/programs")
	libraries "$1" "${programs[@]}"
}

mkdir -p "$cache"
cache=$(readlink -f "$cache")
if ! [ "$cache/tools.made" -nt "$0" ] || ! [ "$cache/tools.made" -nt /var/lib/dpkg/status ]; then
	make_tools "$cache/tools"
	touch "$cache/tools.made"
fi

root=$cache/root
rm -rf "$root"
# Links, not copies; what is added below replaces nothing.
cp -al "$cache/tools" "$root"
cp -al "$(readlink -f "$kernel")/lib/modules" "$root/usr/lib/modules"
make_project "$root"
cp "$top/selftests/vm/init" "$root/init"
(cd "$root" && find . -print0 | cpio -0o --quiet -H newc -R 0:0) >"$out"
rm -rf "$root"
