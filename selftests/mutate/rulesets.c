// SPDX-License-Identifier: GPL-2.0
/*
 * The tables to start from: rule sets loaded by the real iptables-legacy-restore.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel_table.h"
#include "mutate.h"
#include "table.h"

static const struct {
	const char *name, *text;
} own_sets[] = {
	{"empty", "*filter\nCOMMIT\n"},
	{"policies",
	 "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n"},
	{"chains", "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"
		   ":a - [0:0]\n:b - [0:0]\n:c - [0:0]\n:unused - [0:0]\n"
		   ":a-name-of-twenty-eight-chars - [0:0]\n"
		   "-A INPUT -j a\n-A INPUT -s 10.0.0.0/8 -g b\n-A INPUT -i lo -j RETURN\n"
		   "-A INPUT -j a-name-of-twenty-eight-chars\n-A INPUT -p 47 -j DROP\n"
		   "-A FORWARD -j b\n-A FORWARD ! -i eth+ -o wg0 -j c\n-A FORWARD\n"
		   "-A OUTPUT -j c\n-A OUTPUT -f -j DROP\n"
		   "-A a -d 192.168.0.0/255.255.0.255 -j b\n-A a -j RETURN\n-A a -j DROP\n"
		   "-A b -j c\n-A b ! -p udp -g c\n-A c -s 1.2.3.4 -j ACCEPT\n-A c -j RETURN\n"
		   "-A unused -j c\nCOMMIT\n"},
	{"tcp-udp-icmp", "*filter\n:t - [0:0]\n"
			 "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"
			 "-A INPUT -p tcp -m tcp ! --sport 1024:65535 --dport 80:443 -j DROP\n"
			 "-A INPUT -p tcp -m tcp --tcp-flags SYN,RST,ACK,FIN SYN -j t\n"
			 "-A INPUT -p tcp -m tcp --tcp-option 8 -j ACCEPT\n"
			 "-A INPUT -p udp -m udp --dport 53 -j ACCEPT\n"
			 "-A INPUT -p udp -m udp --sport 67:68 ! --dport 67 -j t\n"
			 "-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT\n"
			 "-A INPUT -p icmp -m icmp ! --icmp-type 3/4 -j DROP\n"
			 "-A t -p icmp -m icmp --icmp-type any -j DROP\nCOMMIT\n"},
	{"multiport",
	 "*filter\n"
	 "-A INPUT -p tcp -m multiport --dports 22,80,443 -j ACCEPT\n"
	 "-A INPUT -p udp -m multiport ! --sports 1:1024,2000,3000:3001 -j DROP\n"
	 "-A FORWARD -p sctp -m multiport --ports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 -j DROP\n"
	 "-A OUTPUT -p dccp -m multiport --dports 5:6 -j ACCEPT\n"
	 "-A OUTPUT -p udplite -m multiport --dports 7 -j ACCEPT\nCOMMIT\n"},
	{"conntrack",
	 "*filter\n:s - [0:0]\n"
	 "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
	 "-A INPUT -m conntrack ! --ctstate INVALID,UNTRACKED,SNAT -j s\n"
	 "-A INPUT -m conntrack --ctproto 6 --ctorigsrc 10.0.0.0/8 --ctorigdstport 22:23 -j DROP\n"
	 "-A INPUT -m conntrack --ctstatus ASSURED ! --ctreplsrc 1.2.3.4 --ctdir REPLY -j DROP\n"
	 "-A INPUT -m conntrack --ctexpire 10:1000 --ctproto 17 --ctreplsrcport 1 -j ACCEPT\n"
	 "-A FORWARD -m state --state NEW -j s\n-A FORWARD -m state ! --state INVALID -j DROP\n"
	 "-A s -m conntrack --ctstate NEW -j DROP\nCOMMIT\n"},
	{"comment-mark-limit-addrtype",
	 "*filter\n"
	 "-A INPUT -m comment --comment \"a comment of some length\" -j ACCEPT\n"
	 "-A INPUT -m mark --mark 0x10/0xf0 -j DROP\n-A INPUT -m mark ! --mark 0x1 -j DROP\n"
	 "-A INPUT -m limit --limit 3/min --limit-burst 7 -j ACCEPT\n"
	 "-A INPUT -m limit --limit 10000/sec -j ACCEPT\n"
	 "-A INPUT -m limit --limit 1/day --limit-burst 1 -m comment --comment x -j DROP\n"
	 "-A INPUT -m addrtype --dst-type LOCAL,BROADCAST -j ACCEPT\n"
	 "-A INPUT -m addrtype ! --src-type UNICAST --limit-iface-in -j DROP\n"
	 "-A FORWARD -m addrtype --dst-type MULTICAST --limit-iface-out -j DROP\n"
	 "-A OUTPUT -m addrtype ! --dst-type LOCAL --limit-iface-out -j DROP\n"
	 "-A FORWARD -m addrtype --src-type LOCAL --limit-iface-in -j DROP\nCOMMIT\n"},
	{"several-matches",
	 "*filter\n:log - [0:0]\n:web - [0:0]\n"
	 "-A INPUT -i eth0 -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -m limit --limit 5/min "
	 "-m comment --comment ssh -j ACCEPT\n"
	 "-A INPUT -p tcp -m comment --comment one -m multiport --dports 80,443 -m mark --mark 7 "
	 "-j web\n"
	 "-A INPUT -p icmp -m icmp --icmp-type 8 -m state --state NEW -m addrtype --dst-type LOCAL "
	 "-g log\n"
	 "-A web -m comment --comment two -m comment --comment three -j RETURN\n"
	 "-A web -p tcp -m tcp --dport 80 -m tcp ! --dport 81 -j log\n-A log -j DROP\nCOMMIT\n"},
	{"target-mark",
	 "*filter\n:m - [0:0]\n-A INPUT -j MARK --set-mark 0x1234\n"
	 "-A INPUT -p udp -m udp --dport 53 -m mark --mark 1 -j MARK --or-mark 0x80000000\n"
	 "-A FORWARD -j m\n-A OUTPUT -d 10.0.0.0/8 -j MARK --set-xmark 0xff/0xf\n"
	 "-A m -s 1.2.3.4 -j MARK --and-mark 0\n-A m -m comment --comment x -j MARK --xor-mark 7\n"
	 "COMMIT\n"},
	{"headers",
	 "*filter\n-A INPUT -m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 1.0.0.0-2.0.0.0 "
	 "-j DROP\n"
	 "-A INPUT -m length ! --length 100:200 -j ACCEPT\n-A FORWARD -m ttl --ttl-lt 5 -j DROP\n"
	 "-A INPUT -m ttl ! --ttl-eq 64 -j ACCEPT\n-A OUTPUT -m ttl --ttl-gt 3 -j ACCEPT\n"
	 "-A INPUT -m dscp --dscp 63 -j ACCEPT\n-A INPUT -m dscp ! --dscp 1 -j ACCEPT\n"
	 "-A INPUT -m tos --tos 0x10/0x3f -j ACCEPT\n-A INPUT -m pkttype --pkt-type multicast\n"
	 "-A INPUT -p tcp -m ecn --ecn-tcp-cwr ! --ecn-tcp-ece ! --ecn-ip-ect 2 -j ACCEPT\n"
	 "-A INPUT -m ecn --ecn-ip-ect 1\n-A INPUT -m cpu ! --cpu 3\n"
	 "-A FORWARD -m mac ! --mac-source 02:00:00:00:00:01 -j DROP\nCOMMIT\n"},
	{"transports", "*filter\n-A INPUT -p sctp -m sctp --sport 1:5 ! --dport 7 -j ACCEPT\n"
		       "-A INPUT -p dccp -m dccp ! --sport 1 --dport 7:9 -j ACCEPT\n"
		       "-A INPUT -p tcp -m tcpmss ! --mss 536:65535 -j DROP\n"
		       "-A INPUT -p esp -m esp --espspi 5:70000 -j ACCEPT\n"
		       "-A INPUT -p ah -m ah ! --ahspi 7 -j ACCEPT\n"
		       "-A INPUT -p ipcomp -m ipcomp --ipcompspi 1:2 -j ACCEPT\nCOMMIT\n"},
	{"senders-and-numbers",
	 "*filter\n-A OUTPUT -m owner --uid-owner 0-5 ! --gid-owner 7 --socket-exists -j ACCEPT\n"
	 "-A OUTPUT -m owner ! --socket-exists -j DROP\n-A INPUT -m quota --quota 5000 -j ACCEPT\n"
	 "-A INPUT -m statistic --mode random --probability 0.5 -j DROP\n"
	 "-A INPUT -m statistic --mode nth ! --every 5 --packet 2 -j DROP\n"
	 "-A INPUT -m connmark ! --mark 0x5/0xff -j DROP\nCOMMIT\n"},
	{"bridges",
	 "*filter\n-A FORWARD -m physdev --physdev-in tap0 ! --physdev-out eth+ -j DROP\n"
	 "-A FORWARD -m physdev --physdev-is-bridged ! --physdev-is-in -j ACCEPT\n"
	 "-A INPUT -m physdev ! --physdev-is-out --physdev-in br+ -j DROP\n"
	 "-A OUTPUT -m physdev --physdev-is-bridged --physdev-out tap1 -j DROP\nCOMMIT\n"},
	{"groups", "*filter\n-A FORWARD -m devgroup --src-group 3 ! --dst-group 1/0x3 -j DROP\n"
		   "-A INPUT -m devgroup ! --src-group 0 -j DROP\n"
		   "-A OUTPUT -m devgroup --dst-group 9 -j ACCEPT\nCOMMIT\n"},
	{"ipsec",
	 "*filter\n-A INPUT -m policy --dir in --pol none -j DROP\n"
	 "-A FORWARD -m policy --dir out --pol ipsec ! --reqid 5 --proto esp -j ACCEPT\n"
	 "-A OUTPUT -m policy --dir out --pol ipsec --strict --mode tunnel --tunnel-src 10.0.0.1 "
	 "--tunnel-dst 10.0.0.0/8 --next --spi 7 -j ACCEPT\nCOMMIT\n"},
	{"effects",
	 "*filter\n:r - [0:0]\n-A INPUT -p tcp -j REJECT --reject-with tcp-reset\n"
	 "-A INPUT -j REJECT --reject-with icmp-net-unreachable\n-A FORWARD -j r\n"
	 "-A OUTPUT -p udp -j REJECT --reject-with icmp-proto-unreachable\n"
	 "-A r -j LOG --log-prefix \"a prefix of 28 characters.. \" --log-level 7\n"
	 "-A r -p tcp -m tcp --dport 80 -j LOG --log-tcp-sequence --log-tcp-options --log-uid\n"
	 "-A r -j LOG --log-ip-options --log-macdecode\n-A r -j NFLOG --nflog-group 65535\n"
	 "-A r -j NFLOG --nflog-prefix x --nflog-size 64 --nflog-threshold 3\n"
	 "-A r -s 10.0.0.0/8 -j REJECT --reject-with icmp-admin-prohibited\n"
	 "-A r -j REJECT --reject-with icmp-host-prohibited\nCOMMIT\n"},
	{"connection-marks",
	 "*filter\n:m - [0:0]\n-A INPUT -j CONNMARK --set-mark 0x1234\n"
	 "-A INPUT -p udp -m connmark --mark 1 -j CONNMARK --save-mark --nfmask 0xf --ctmask 0xf0\n"
	 "-A FORWARD -j m\n-A OUTPUT -d 10.0.0.0/8 -j CONNMARK --restore-mark --mask 7\n"
	 "-A m -s 1.2.3.4 -j CONNMARK --set-xmark 7/9 --left-shift-mark 3\n"
	 "-A m -m comment --comment x -j CONNMARK --save-mark --right-shift-mark 31\nCOMMIT\n"},
	{"takers",
	 "*filter\n:s - [0:0]\n-A INPUT -p tcp -m tcp --syn -j TCPMSS --set-mss 536\n"
	 "-A INPUT -p tcp -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460\n"
	 "-A FORWARD -p tcp -m tcp --dport 80 -j s\n-A s -p tcp -m tcp --dport 80 -j SYNPROXY\n"
	 "-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n"
	 "-A OUTPUT -p tcp -m tcp --tcp-flags SYN SYN -j TCPMSS --clamp-mss-to-pmtu\nCOMMIT\n"},
	{"queue-and-unknown",
	 "*filter\n-A INPUT -p tcp -m tcp --dport 1 -j QUEUE\n-A INPUT -j AUDIT --type drop\n"
	 "-A FORWARD -m u32 --u32 0=1 -j ACCEPT\n-A OUTPUT -j CLASSIFY --set-class 1:2\nCOMMIT\n"},
};

int ruleset_restore(const char *text)
{
	char lock[] = "/tmp/bf-mutate-lock.XXXXXX";
	int pipefd[2], status, fd;
	size_t len = strlen(text), done = 0;
	pid_t pid;

	fd = mkstemp(lock);
	if (fd < 0 || pipe(pipefd))
		return -1;
	close(fd);
	pid = fork();
	if (pid == 0) {
		setenv("XTABLES_LOCKFILE", lock, 1);
		dup2(pipefd[0], 0);
		close(pipefd[0]);
		close(pipefd[1]);
		execlp("iptables-legacy-restore", "iptables-legacy-restore", NULL);
		_exit(127);
	}
	close(pipefd[0]);
	while (pid > 0 && done < len) {
		ssize_t n = write(pipefd[1], text + done, len - done);

		if (n <= 0)
			break;
		done += n;
	}
	close(pipefd[1]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	unlink(lock);
	return status ? -1 : 0;
}

/* What is in the kernel, in the form in which iptables would have sent it. */
static struct value *read_back(void)
{
	struct bf_kernel_table *table;
	struct value *v = NULL;
	struct ipt_replace *head;
	int sk = bf_kernel_socket();
	int err = sk < 0 ? sk : bf_kernel_read(sk, &table);

	if (sk >= 0)
		close(sk);
	if (err)
		return NULL;
	if (table->info.size + sizeof(*head) <= MAX_VALUE)
		v = calloc(1, sizeof(*v));
	if (v) {
		head = value_head(v);
		strcpy(head->name, "filter");
		head->valid_hooks = table->info.valid_hooks;
		head->num_entries = head->num_counters = table->info.num_entries;
		head->size = table->info.size;
		memcpy(head->hook_entry, table->info.hook_entry, sizeof(head->hook_entry));
		memcpy(head->underflow, table->info.underflow, sizeof(head->underflow));
		memcpy(head->entries, table->entries, head->size);
		v->len = sizeof(*head) + head->size;
	}
	bf_kernel_table_free(table);
	return v;
}

/*
 * How many were loaded, 0 or 1. A kernel need not have every extension: what it refuses is left
 * out.
 */
static int load(struct ruleset *set, const char *name, const char *text, bool translatable)
{
	if (ruleset_restore(text)) {
		printf("# iptables-legacy-restore refused rule set %s\n", name);
		return 0;
	}
	set->name = name;
	set->translatable = translatable;
	set->value = read_back();
	if (!set->value)
		printf("# rule set %s is too large\n", name);
	return !!set->value;
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, MAX_VALUE);

	if (!f || !text || !fread(text, 1, MAX_VALUE - 1, f)) {
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

int rulesets_load(struct ruleset *sets, char **files, int nr_files)
{
	int n = 0, i;
	char *text;

	for (i = 0; i < (int)ARRAY_SIZE(own_sets); i++)
		n += load(&sets[n], own_sets[i].name, own_sets[i].text,
			  strcmp(own_sets[i].name, "queue-and-unknown"));
	for (i = 0; i < nr_files && n < MAX_RULESETS; i++) {
		text = read_file(files[i]);
		if (!text) {
			fprintf(stderr, "mutate: cannot read %s\n", files[i]);
			return -1;
		}
		n += load(&sets[n], files[i], text, false);
		free(text);
	}
	return n;
}

void rulesets_free(struct ruleset *sets, int n)
{
	while (n--)
		free(sets[n].value);
}
