#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# image.sh KERNEL-DIR CACHE-DIR OUT [MODULE...] - make the initramfs that the tests run in
#
# A root file system of this machine's own programs, with the libraries that they need, the kernel's
# modules from KERNEL-DIR and those that were built for it, bpfilter as "make install" would install it, and this project's
# scripts and test programs below /bpfilter. $BUILD is where all of ours was built; the dumps in $BPFILTER_CORPUS, if set, go to
# /bpfilter/corpus. What comes from the machine is kept in CACHE-DIR and made again when a package has changed.

set -eu

kernel=${1:?usage: image.sh KERNEL-DIR CACHE-DIR OUT [MODULE...]}
cache=${2:?usage: image.sh KERNEL-DIR CACHE-DIR OUT [MODULE...]}
out=${3:?usage: image.sh KERNEL-DIR CACHE-DIR OUT [MODULE...]}
built=("${@:4}")
: "${BUILD:?}"
top=$(readlink -f "$(dirname "$0")/../..")

# The packages whose programs the scripts call, or somebody looks for who looks around in there.
packages=(bash coreutils dash diffutils findutils grep mawk mount procps sed util-linux
	  conntrack iproute2 iptables ipset iputils-ping kmod netcat-openbsd nfacct nftables)

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
	mkdir -p "$root"/{dev,proc,sys,run,tmp,root,etc,var/lib,usr/{bin,sbin,lib,lib64,local/sbin}}
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
	# Plain "iptables" is what others call it, Docker for one.
	for path in iptables iptables-save iptables-restore; do
		ln -sf xtables-legacy-multi "$root/usr/sbin/$path"
	done
}

# The project as the tests see it: the clone, with what was built in build/.
make_project() {
	local to=$1/bpfilter list=$1/programs program
	local -a programs

	mkdir -p "$to/build"
	(cd "$top" && cp -a --parents README.md demo docs selftests/*.sh selftests/corpus selftests/e2e \
		selftests/rules selftests/vm "$to")
	if [ -n "${BPFILTER_CORPUS:-}" ]; then
		mkdir "$to/corpus"
		cp -R "$BPFILTER_CORPUS/saves" "$to/corpus"
	fi
	(cd "$BUILD" && find bpfilter selftests -type f -perm -u+x) >"$list"
	while read -r program; do
		mkdir -p "$(dirname "$to/build/$program")"
		strip -o "$to/build/$program" "$BUILD/$program"
	done <"$list"
	mapfile -t programs < <(sed "s,^,$to/build/," "$list")
	rm "$list"
	libraries "$1" "${programs[@]}"
	ln "$to/build/bpfilter" "$1/usr/local/sbin/bpfilter"
	mkdir -p "$1/usr/local/lib/modprobe.d"
	sed 's,@sbindir@,/usr/local/sbin,g' "$top/packaging/bpfilter.modprobe.in" \
		>"$1/usr/local/lib/modprobe.d/bpfilter.conf"
}

make_modules() {
	local release updates

	release=$(<"$kernel/release")
	cp -al "$(readlink -f "$kernel")/lib/modules" "$1/usr/lib/modules"
	[ ${#built[@]} -gt 0 ] || return 0
	updates=$1/usr/lib/modules/$release/updates
	mkdir "$updates"
	cp "${built[@]}" "$updates"
	# Not into the files that it shares with KERNEL-DIR.
	rm -f "$updates"/../modules.{dep,alias,symbols,softdep,devname}*
	depmod -b "$1" "$release"
}

mkdir -p "$cache"
cache=$(readlink -f "$cache")
exec 9>"$cache/lock"
flock 9
if ! [ "$cache/tools.made" -nt "$0" ] || ! [ "$cache/tools.made" -nt /var/lib/dpkg/status ]; then
	make_tools "$cache/tools"
	touch "$cache/tools.made"
fi

flock -u 9

# Links, not copies; what is added below replaces nothing.
root=$cache/root.$$
trap 'rm -rf "$root"' EXIT
cp -al "$cache/tools" "$root"
make_modules "$root"
make_project "$root"
cp "$top/selftests/vm/init" "$root/init"
(cd "$root" && find . -print0 | cpio -0o --quiet -H newc -R 0:0) >"$out"
