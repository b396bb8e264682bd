#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# "make install" and "make uninstall" in a clean Debian 12, of which a copy is made for this: what is
# installed works, the systemd unit too, and what is uninstalled is gone. With the module by DKMS, without DKMS, without
# headers, and below DESTDIR.
#
# The machine itself is left alone. Needs root, and apt for the first time; $BUILD is where the tree is kept.

set -u
here=$(dirname "$(readlink -f "$0")")
: "${BUILD:?is the folder that it was built in}"
export BPFILTER=${BPFILTER:-$BUILD/bpfilter}
# shellcheck source=../lib.sh
. "$here/../lib.sh"

top=$(readlink -f "$here/../..")
cache=$BUILD/install
work=$cache/work

[ "$(id -u)" = 0 ] || skip_all "needs root"
command -v apt-get >/dev/null || skip_all "needs apt"

# In a mount namespace of its own: nothing needs to be unmounted, however this ends.
if [ "${1:-}" != inside ]; then
	if ! "$top/tools/setup.sh" check-install "$BUILD" || ! "$here/tree.sh" "$cache"; then
		tap 1 "a Debian tree can be made, see above"
		tap_end
	fi
	mkdir -p "$work"
	exec 9>"$cache/run.lock"
	flock 9
	exec unshare --mount --propagation private "$0" inside
fi

# overlay NAME LOWER: a tree that may be written to, in memory; $root is where it is.
overlay() {
	root=$work/$1
	mkdir "$root" "$root".{upper,work} &&
		mount -t overlay -o "lowerdir=$2,upperdir=$root.upper,workdir=$root.work" overlay "$root" &&
		mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
		mount -t tmpfs tmpfs "$root/tmp" && mount -t tmpfs tmpfs "$root/run" || exit 1
}

mount -t tmpfs tmpfs "$work" || exit 1
overlay tree "$cache/tree"
mkdir "$root/root/bpfilter" &&
	tar -C "$top" -c --exclude=./.git --exclude='./build*' . | tar -C "$root/root/bpfilter" -x || exit 1
kernel=$(basename "$root"/lib/modules/*)
version=$(sed -n 's/^#define BPFILTER_RELEASE "\(.*\)"/\1/p' "$top/include/bpfilter.h")

# Run a command in the tree, in the clone.
in_tree() {
	chroot "$root" /usr/bin/env -i -C /root/bpfilter LC_ALL=C HOME=/root \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# Every file of the tree but for the clone and what is no file: name, type, mode, size, link. (The key is
# made by DKMS once, for all modules.)
snapshot() {
	in_tree find / '(' -path /proc -o -path /dev -o -path /sys -o -path /tmp -o -path /run \
		-o -path /root/bpfilter -o -name 'mok.*' ')' -prune -o -type d -printf '%p/ %m\n' \
		-o -printf '%p %y %m %s %l\n' | sort
}

# The files below a folder of the tree.
files() {
	(cd "$root$1" && find . ! -type d | sed 's/^\.//' | sort)
}

# Those lines of the new snapshot that are not in the old one.
new_files() {
	comm -13 <(echo "$before") <(snapshot) | grep -v '/ [0-7]*$' | cut -d' ' -f1
}

# All but the module's.
plain_files="/usr/local/lib/modprobe.d/bpfilter.conf
/usr/local/lib/systemd/system/bpfilter.service
/usr/local/sbin/bpfilter
/usr/local/share/bash-completion/completions/bpfilter
/usr/local/share/man/man8/bpfilter.8"
sources="/usr/src/bpfilter-$version/COPYING
/usr/src/bpfilter-$version/Kbuild
/usr/src/bpfilter-$version/bpfilter_kern.c
/usr/src/bpfilter-$version/dkms.conf
/usr/src/bpfilter-$version/include/uapi/bpfilter.h"

# What must be true of an installed module, however it got there.
check_module() {
	same "$1: modinfo finds it" "bpfilter" "$(in_tree modinfo -k "$kernel" -F name bpfilter)"
	same "$1: for this kernel" "$kernel" \
		"$(in_tree modinfo -k "$kernel" -F vermagic bpfilter | cut -d' ' -f1)"
	same "$1: modprobe would load it, with our helper" \
		"bpfilter.ko helper=/usr/local/sbin/bpfilter" \
		"$(in_tree modprobe -S "$kernel" -n --show-depends bpfilter 2>/dev/null |
			sed -e 's,^insmod [^ ]*/,,' -e 's/ *$//')"
}

# Boot a copy of the tree, with the unit enabled. Without the module, which is for another kernel than this.
check_unit() {
	local rc text

	cp -a "$root.upper" "$work/installed"
	while read -r rc text; do
		case $rc in
		'#') echo "# $text" ;;
		skip) tap_skip "the unit" "$text" ;;
		*) tap "$rc" "the unit: $text" ;;
		esac
	done < <(
		overlay booted "$work/installed:$cache/tree"
		"$here/boot.sh" "$root" /root/bpfilter/selftests/install/unit_in_tree.sh
		echo "$? was booted in a tree"
	)
}

# --- with DKMS ----------------------------------------------------------------------------

expect "make" in_tree make -j2
before=$(snapshot)
expect "make install" in_tree make install
installed=$(new_files)
same "it installs these files, besides the module" \
	"$(printf '%s\n' "$plain_files" "$sources" | sort)" \
	"$(grep -vE '^/(var/lib/dkms|lib/modules|usr/lib/modules)/' <<<"$installed" | sort)"
same "DKMS has built and installed the module" \
	"bpfilter/$version, $kernel, x86_64: installed" "$(in_tree dkms status)"
check_module "DKMS"

same "the command runs" "bpfilter $version" "$(in_tree bpfilter --version)"
same "man renders the manual page without a warning" "" \
	"$(in_tree env MANWIDTH=80 man --warnings=all bpfilter 2>&1 >/dev/null)"
expect "systemd takes the unit as it is" in_tree systemd-analyze verify bpfilter.service
same "and says nothing about it" "" "$(in_tree systemd-analyze verify bpfilter.service 2>&1)"
same "the unit is not enabled" "disabled" "$(in_tree systemctl is-enabled bpfilter.service)"
expect "it can be" in_tree systemctl -q enable bpfilter.service
check_unit
expect "modprobe -r has tables given back first" grep -qF "/usr/local/sbin/bpfilter stop && /sbin/rmmod" \
	<(in_tree modprobe --showconfig | grep '^remove bpfilter ')
same "bash completes" "status stop" "$(in_tree bash -c '
	. /usr/share/bash-completion/bash_completion
	_completion_loader bpfilter
	COMP_WORDS=(bpfilter st) COMP_CWORD=1
	_bpfilter
	echo ${COMPREPLY[*]}')"

expect "make install again, over it" in_tree make install
same "it is as it was" "$installed" "$(new_files | grep -v /etc/systemd/)"
expect "make uninstall" in_tree make uninstall
same "leaves the tree as it was" "$before" "$(snapshot)"
expect "make uninstall, with nothing there" in_tree make uninstall

# --- below DESTDIR, as for a package -----------------------------------------------------------

expect "make install DESTDIR= PREFIX=/usr" in_tree make install DESTDIR=/tmp/package PREFIX=/usr
same "installs the same files there" \
	"$(printf '%s\n' "${plain_files//\/usr\/local/\/usr}" "$sources" | sort)" "$(files /tmp/package)"
same "nothing elsewhere" "$before" "$(snapshot)"
same "which have the right paths in them" "/usr/sbin/bpfilter" "$(grep -rhoE '/[a-z/]*/sbin/bpfilter' \
	"$root/tmp/package/usr/lib" | sort -u)"
expect "make uninstall DESTDIR=" in_tree make uninstall DESTDIR=/tmp/package PREFIX=/usr
same "removes them" "" "$(files /tmp/package)"

# --- without DKMS ------------------------------------------------------------------------------

mv "$root/usr/sbin/dkms" "$root/tmp/dkms"
before=$(snapshot)
expect "make install, without DKMS" in_tree make install
same "it installs these files" \
	"$(printf '%s\n' "$plain_files" "/usr/lib/modules/$kernel/updates/bpfilter.ko" | sort)" \
	"$(new_files | grep -v '/modules\.[a-z.]*$' | sort)"
check_module "directly"
expect "make uninstall" in_tree make uninstall
same "leaves the tree as it was" "$before" "$(snapshot)"

expect "make install MODULE=none" in_tree make install MODULE=none
same "it installs these files" "$plain_files" "$(new_files)"
expect "make uninstall" in_tree make uninstall
expect_not "MODULE=dkms without DKMS fails" in_tree make install MODULE=dkms
expect "make uninstall" in_tree make uninstall
same "leaves the tree as it was" "$before" "$(snapshot)"

# --- without headers ----------------------------------------------------------------------------

mv "$root/lib/modules/$kernel/build" "$root/tmp/"
before=$(snapshot)
out=$(in_tree make install)
tap $? "make install, without headers"
expect "it says so" grep -q '^install: no module for the running kernel' <<<"$out"
same "it installs these files" "$plain_files" "$(new_files)"
expect "make uninstall" in_tree make uninstall
same "leaves the tree as it was" "$before" "$(snapshot)"

tap_end
