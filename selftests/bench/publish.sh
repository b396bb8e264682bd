#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# publish.sh DIR - put the results of a full run, which are in DIR, into docs/bench and the README

set -eu
dir=${1:?usage: publish.sh DIR}
here=$(dirname "$(readlink -f "$0")")
root=$here/../..

# member NAME: of the head of result.json
member() {
	sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" "$dir/result.json" | head -n 1
}

[ -s "$dir/result.json" ] || { echo "publish.sh: no result in $dir: make bench" >&2 && exit 1; }
mkdir -p "$root/docs/bench"
cp "$dir/result.json" "$dir"/*.svg "$root/docs/bench/"
table=$(mktemp)
trap 'rm -f "$table"' EXIT
awk -v kernel="$(member kernel)" -v cpu="$(member cpu)" -v when="$(member time)" -f "$here/records.awk" \
	-f "$here/readme.awk" "$dir/records" >"$table"
sed -i -e '/^<!-- bench -->$/,/^<!-- end -->$/{/^<!-- /!d}' -e "/^<!-- bench -->$/r $table" "$root/README.md"
