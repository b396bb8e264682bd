#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# boot.sh ROOT PROGRAM - boot the Debian below ROOT, with its systemd, in namespaces of its own; PROGRAM
# is run in there when it is up, and its output shown. All of it is gone afterwards.
#
# To be called in a mount namespace that is nobody else's. Exit status 4: no such thing can be done here.

set -u

root=${1:?usage: boot.sh ROOT PROGRAM}
program=${2:?usage: boot.sh ROOT PROGRAM}

cat >"$root/etc/systemd/system/program.service" <<END
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=$program
ExecStopPost=/bin/sh -c "systemctl --force --force poweroff >/dev/null 2>&1"
StandardOutput=append:/root/output
StandardError=inherit
[Install]
WantedBy=default.target
END
chroot "$root" systemctl -q enable program.service || exit 4

# It shall not see, nor change, the machine's own control groups.
groups=$(mktemp -d)
mount -t cgroup2 cgroup2 "$groups" || exit 4
group=$groups/bpfilter-test.$$
mkdir "$group" || exit 4

(
	echo $BASHPID >"$group/cgroup.procs"
	exec timeout 120 unshare --cgroup --fork --pid --kill-child --net --ipc --uts --mount bash -c '
		cd "$1"
		mount -t proc proc proc
		mount -t sysfs -o ro sysfs sys
		mount -t cgroup2 cgroup2 sys/fs/cgroup
		mount -t tmpfs tmpfs run
		mount -t tmpfs tmpfs dev
		cp -a /dev/{null,zero,full,random,urandom,tty} dev
		mkdir dev/{pts,shm}
		ln -s /proc/self/fd dev/fd
		# No setting of the machine is its business.
		mount --bind proc/sys proc/sys
		mount -o remount,bind,ro proc/sys
		# The root of the mount namespace, which is where the helper goes.
		pivot_root . mnt
		exec chroot . /bin/sh -c "umount -l /mnt; exec /usr/bin/env -i container=test \
			/lib/systemd/systemd --system --log-target=console"
	' - "$root" </dev/null >"$root/root/console" 2>&1
)
cat "$root/root/output" || cat "$root/root/console"

find "$group" -depth -type d -exec rmdir {} +
umount "$groups"
rmdir "$groups"
