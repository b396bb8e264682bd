# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # here and before are the script's
#
# A clean Debian 12 to install into, of which a copy is made for each test. To be sourced after lib.sh by a
# script that has its folder in $here; $BUILD is where the tree is kept.
#
# The machine itself is left alone. Needs root, and apt for the first time.

top=$(readlink -f "$here/../..")
cache=$BUILD/install
work=$cache/work

# debian_begin "$@": call the script again, in a mount namespace of its own, so that nothing needs to be unmounted,
# however it ends. Then $root is the tree, with the project in /root/bpfilter.
debian_begin() {
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	command -v apt-get >/dev/null || skip_all "needs apt"
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

	mount -t tmpfs tmpfs "$work" || exit 1
	overlay tree "$cache/tree"
	mkdir "$root/root/bpfilter" &&
		tar -C "$top" -c --exclude=./.git --exclude='./build*' . |
		tar -C "$root/root/bpfilter" -x || exit 1
	kernel=$(basename "$root"/lib/modules/*)
	# shellcheck disable=SC2034 # the scripts use it
	version=$(sed -n 's/^#define BPFILTER_RELEASE "\(.*\)"/\1/p' "$top/include/bpfilter.h")
}

# overlay NAME LOWER: a tree that may be written to, in memory; $root is where it is.
overlay() {
	root=$work/$1
	mkdir "$root" "$root".{upper,work} &&
		mount -t overlay -o "lowerdir=$2,upperdir=$root.upper,workdir=$root.work" overlay "$root" &&
		mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
		mount -t tmpfs tmpfs "$root/tmp" && mount -t tmpfs tmpfs "$root/run" || exit 1
}

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

# Those lines of the new snapshot that are not in the old one, $before.
new_files() {
	comm -13 <(echo "$before") <(snapshot) | grep -v '/ [0-7]*$' | cut -d' ' -f1
}

# check_module TEXT SBIN: what must be true of an installed module, however it got there.
check_module() {
	same "$1: modinfo finds it" "bpfilter" "$(in_tree modinfo -k "$kernel" -F name bpfilter)"
	same "$1: for this kernel" "$kernel" \
		"$(in_tree modinfo -k "$kernel" -F vermagic bpfilter | cut -d' ' -f1)"
	same "$1: modprobe would load it, with our helper" "bpfilter.ko helper=$2/bpfilter" \
		"$(in_tree modprobe -S "$kernel" -n --show-depends bpfilter 2>/dev/null |
			sed -e 's,^insmod [^ ]*/,,' -e 's/ *$//')"
}

# booted TEXT SCRIPT: boot a copy of the tree and run SCRIPT of this folder in there: see in_tree.sh. Without the
# module, which is for another kernel than this.
booted() {
	local rc text

	cp -a "$root.upper" "$work/installed"
	while read -r rc text; do
		case $rc in
		'#') echo "# $text" ;;
		skip) tap_skip "$1" "$text" ;;
		*) tap "$rc" "$1: $text" ;;
		esac
	done < <(
		overlay booted "$work/installed:$cache/tree"
		"$here/boot.sh" "$root" "/root/bpfilter/selftests/install/$2"
		echo "$? was booted in a tree"
	)
}
