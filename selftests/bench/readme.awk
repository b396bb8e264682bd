# SPDX-License-Identifier: GPL-2.0
#
# readme.awk - the README's table of what was measured; after records.awk. Variables: kernel, cpu, when.

function ns(x) {
	return x == "" ? "" : sprintf("%.0f", x)
}

function row(n,   line) {
	line = "| " n " | " ns(worst_main(uniform, n)) " | " ns(worst_main(zipf, n))
	line = line " | " rate("acl", n, "accept", "nf") " | " rate("acl", n, "accept", "kernel")
	line = line " | " rate("acl", n, "accept", "nft")
	line = line " | " ms("acl", n, "bpf", "restore") " | " ms("acl", n, "kernel", "restore")
	line = line " | " ms("acl", n, "bpf", "append") " | " ms("acl", n, "kernel", "append")
	line = line " | " kib(maps["acl", n] + code["acl", n]) " | " kib(theirs["acl", n])
	print line " |"
}

END {
	print "| rules | search, ns | skewed traffic | k packets/s: bpfilter | ip_tables | nftables" \
		" | restore, ms: bpfilter | ip_tables | -A, ms: bpfilter | ip_tables" \
		" | KiB: bpfilter | ip_tables |"
	print "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
	for (n = 10; n <= 100000; n *= 10)
		if (("acl", n, "bpf", "restore") in us)
			row(n)
	printf "\n%s, Linux %s, %s; without rules ip_tables forwards %s.\n", cpu, kernel, substr(when, 1, 10), \
		rate("acl", 10, "accept", "empty")
}
