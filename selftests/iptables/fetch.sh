#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fetch.sh DIR - unpack the source package of the iptables that is installed below DIR, and print where it is
#
# From the archive that apt on this machine uses, in folders of apt's own below DIR: no configuration is changed.
# Nothing is fetched if it is there. Exit status 4, with the reason on stderr, where it cannot be had.

set -eu -o pipefail

dir=${1:?usage: fetch.sh DIR}

cannot() {
	echo "the source of iptables cannot be had: $*" >&2
	exit 4
}

command -v apt-get >/dev/null || cannot "needs apt"
command -v dpkg-source >/dev/null || cannot "needs dpkg-source (package dpkg-dev)"
version=$(dpkg-query -W -f '${source:Version}' iptables 2>/dev/null) ||
	cannot "iptables is not installed as a package"
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$suite" ] || cannot "/etc/os-release names no release"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || cannot "$keyring is missing"

mkdir -p "$dir"
dir=$(readlink -f "$dir")
exec 9>"$dir/lock"
flock 9
tree=$dir/iptables-$version
if [ ! -d "$tree" ]; then
	archive=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
		awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }') || true
	[ -n "$archive" ] || cannot "apt on this machine has no Debian archive"
	rm -rf "$dir"/{apt,new}
	mkdir -p "$dir"/apt/{lists,cache/archives}/partial "$dir/new"
	: >"$dir/apt/status"
	echo "deb-src [signed-by=$keyring] $archive $suite main" >"$dir/apt/sources.list"
	apt=(apt-get -q=2 -o Dir::State::lists="$dir/apt/lists" -o Dir::State::status="$dir/apt/status"
		-o Dir::Cache="$dir/apt/cache" -o Dir::Etc::sourcelist="$dir/apt/sources.list"
		-o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- -o APT::Sandbox::User=root
		-o APT::Update::Error-Mode=any)
	if ! { "${apt[@]}" update && cd "$dir/new" &&
		"${apt[@]}" --download-only source "iptables=$version"; } >"$dir/log" 2>&1; then
		cannot "$(tail -n 1 "$dir/log")"
	fi
	dpkg-source -q -x "$dir"/new/*.dsc "$dir/new/tree" >&2
	mv "$dir/new/tree" "$tree"
	rm -rf "$dir"/{apt,new}
fi
echo "$tree"
