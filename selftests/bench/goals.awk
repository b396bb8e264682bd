# SPDX-License-Identifier: GPL-2.0
#
# goals.awk - what the records of a run say of the goals

# A goal, the value that was measured, and whether that is at most (or, with @least, at least) the bar.
function goal(name, what, value, bar, least) {
	goals++
	goal_name[goals] = name
	goal_what[goals] = value == "" ? "not measured" : what
	goal_value[goals] = value == "" ? "" : value + 0
	goal_bar[goals] = bar
	goal_least[goals] = least
	goal_met[goals] = value == "" ? "" : (least ? value + 0 >= bar : value + 0 <= bar)
}

function lookup_goal(ns, kind, n, bar,   most) {
	most = worst_main(ns, n)
	goal("lookup, " n " rules, " kind, sprintf("%.0f ns (%s)", most, worst), most, bar)
}

# Many chains beside one, of the same number of rules.
function deep_goal(   i, j, s, n, x, most) {
	worst = most = ""
	for (i = split("docker kube calico", s, " "); i; i--)
		for (j = 1; j <= items["sizes-module"]; j++) {
			n = item["sizes-module", j]
			if (refused["module", s[i], n] != "")
				goal(s[i] ", " n " rules", "refused", 0, 1, 1)
			x = ratio_of(uniform["module", s[i], n], uniform["module", s[i] "-flat", n])
			if (n < 100 || x == "" || (most != "" && x <= most))
				continue
			most = x
			worst = s[i] ", " n " rules"
		}
	goal("deep chains, of a flat table", sprintf("%.2f (%s)", most, worst), most, 2)
}

# The lowest of the main shapes that need no conntrack, which the empty table does without.
function lowest(verdict, subject, base,   i, s, x, least) {
	worst = least = ""
	for (i = split("acl fw ipc block", s, " "); i; i--) {
		x = in_turns(s[i], 10000, verdict, subject, base)
		if (x == "" || (least != "" && x >= least))
			continue
		least = x
		worst = s[i]
	}
	return least
}

function throughput_goals(   x) {
	x = lowest("accept", "nf", "empty")
	goal("accepted, 10000 rules, of the kernel's empty table", sprintf("%.3f (%s)", x, worst), x, 0.95, 1)
	x = lowest("accept", "nf", "kernel")
	goal("accepted, 10000 rules, of the kernel's with the same", sprintf("%.2f (%s)", x, worst), x, 50, 1)
	x = lowest("drop", "nf", "nf-drop")
	goal("dropped, 10000 rules, of a bare drop (netfilter)", sprintf("%.3f (%s)", x, worst), x, 0.8, 1)
	x = lowest("drop", "tc", "tc-drop")
	goal("dropped, 10000 rules, of a bare drop (tc)", sprintf("%.3f (%s)", x, worst), x, 0.85, 1)
	x = lowest("drop", "xdp", "xdp-drop")
	goal("dropped, 10000 rules, of a bare drop (xdp)", sprintf("%.3f (%s)", x, worst), x, 0.85, 1)
	x = lowest("drop", "xdp", "kernel")
	goal("dropped, 10000 rules, xdp, of the kernel's", sprintf("%.1f (%s)", x, worst), x, 30, 1)
	x = lowest("drop", "auto-in", "xdp-drop")
	goal("dropped, 10000 rules of INPUT, of a bare drop (auto)", sprintf("%.3f (%s)", x, worst), x, 0.8, 1)
	x = lowest("drop", "auto-in", "kernel-in")
	goal("dropped, 10000 rules of INPUT, auto, of the kernel's", sprintf("%.1f (%s)", x, worst), x, 30, 1)
}

function stream_goal(name, subject, base,   x) {
	x = in_turns("stream", stream_rules, "", subject, base)
	goal("TCP, " stream_rules " rules, " name, sprintf("%.3f", x), x, 0.97, 1)
}

# A veth with any program for XDP is what the kernel makes of that; what the stage adds is seen beside one that passes.
function stream_goals() {
	stream_goal("of the kernel's empty table", "nf", "empty")
	stream_goal("auto, of the empty table", "auto-off", "empty")
	stream_goal("auto at named veths, of the empty table", "auto", "empty")
	stream_goal("auto at named veths, of a bare pass", "auto", "pass")
	stream_goal("the same to the host itself", "auto-in", "pass-in")
}

function update_goal(n, op,   x) {
	x = ratio_of(us["acl", n, "bpf", op], us["acl", n, "kernel", op])
	goal(op ", " n " rules, of the kernel's time", sprintf("%.2f", x), x, 1)
}

# Of what ip_tables takes, or of 50 bytes a rule and 200 KB where that is more; the table's own memory, and with
# that by which the helper has grown: with what a table takes on its way, and at rest.
function memory_goal(n,   may, own, x) {
	may = theirs["acl", n]
	if (may != "" && may < n * 50 + 200000)
		may = n * 50 + 200000
	own = maps["acl", n] == "" ? "" : maps["acl", n] + code["acl", n]
	x = ratio_of(own, may)
	goal("memory, " n " rules, of what it may take", sprintf("%.2f", x), x, 1)
	x = own == "" ? "" : ratio_of(own + helper["acl", n] - helper["none", 0], may)
	goal("memory with the helper's, " n " rules", sprintf("%.2f", x), x, 1)
	x = own == "" || rest["acl", n] == "" ? "" : ratio_of(own + rest["acl", n] - rest["none", 0], may)
	goal("memory with the helper's at rest, " n " rules", sprintf("%.2f", x), x, 1)
}

# No worse than ten times the main shapes; or else than 1.2 times the kernel.
function nasty_goal(s, n,   key, x, y, base) {
	key = "module" SUBSEP s SUBSEP n
	if (refused[key] != "") {
		goal(s ", " n " rules", "refused: " refused[key], 0, 1, 1)
		return
	}
	goal(s ", " n " rules: made, ms", sprintf("%.0f", made[key]), made[key], 2000)
	base = worst_main(uniform, n)
	x = ratio_of(uniform[key], base)
	if (x != "" && x > 10) {
		y = in_turns(s, n, "accept", "kernel", "nf")
		if (y != "") {
			goal(s ", " n " rules: a packet, of the kernel's time", sprintf("%.2f", y), y, 1.2)
			return
		}
	}
	goal(s ", " n " rules: a search, of the main shapes", sprintf("%.1f", x), x, 10)
}

function goals_all(   i, s) {
	lookup_goal(uniform, "uniform", 100, 28)
	lookup_goal(uniform, "uniform", 10000, 55)
	lookup_goal(uniform, "uniform", 100000, 110)
	lookup_goal(zipf, "Zipf", 100000, 55)
	deep_goal()
	throughput_goals()
	if (stream_rules)
		stream_goals()
	update_goal(10000, "restore")
	update_goal(100000, "restore")
	update_goal(10000, "append")
	update_goal(10000, "delete")
	memory_goal(10000)
	memory_goal(100000)
	for (i = 1; i <= split("nested crossing nonterminal stateful", s, " "); i++)
		nasty_goal(s[i], 10000)
}

function goals_table(   i) {
	printf "\n%-56s %12s  %-26s %s\n", "goal", "bar", "measured", "met"
	for (i = 1; i <= goals; i++)
		printf "%-56s %12s  %-26s %s\n", goal_name[i], (goal_least[i] ? "at least " : "at most ") goal_bar[i],
			goal_what[i], goal_met[i] == "" ? "" : goal_met[i] ? "yes" : "no"
}
