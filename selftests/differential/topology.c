// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "text.h"
#include "topology.h"

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

const struct topology_if topology_ifs[TOPOLOGY_IFS] = {
	{"eth0", 9000, IP(10, 0, 1, 1), 24, IP(10, 0, 1, 129), IP(8, 8, 8, 0)},
	{"eth1", 1400, IP(192, 168, 1, 1), 24, IP(192, 168, 1, 200), IP(203, 0, 113, 0)},
	{"docker0", 1500, IP(172, 17, 0, 1), 16, IP(172, 17, 0, 2), IP(198, 51, 100, 0)},
};

/* Any address of this network is the host's. */
#define ANYIP_NET IP(192, 0, 2, 0)

const uint32_t topology_odd_addrs[] = {
	IP(127, 0, 0, 1),    IP(127, 255, 255, 254), IP(255, 255, 255, 255),
	IP(224, 0, 0, 1),    IP(224, 0, 0, 251),     IP(239, 255, 255, 250),
	IP(240, 0, 0, 1),    IP(0, 0, 0, 0),	     IP(0, 0, 0, 1),
	IP(10, 0, 1, 255),   IP(10, 0, 1, 0),	     IP(172, 17, 255, 255),
	IP(169, 254, 1, 1),  IP(128, 0, 0, 1),	     IP(191, 255, 255, 255),
	IP(100, 64, 0, 7),   /* blackhole */
	IP(100, 64, 1, 7),   /* unreachable */
	IP(100, 64, 2, 7),   /* prohibit */
	IP(100, 64, 3, 7),   /* throw */
	IP(100, 64, 4, 1),   /* anycast */
	IP(100, 64, 5, 255), /* broadcast */
};
const unsigned int topology_nr_odd_addrs =
	sizeof(topology_odd_addrs) / sizeof(topology_odd_addrs[0]);

bool topology_is_local(uint32_t addr)
{
	unsigned int i;

	for (i = 0; i < TOPOLOGY_IFS; i++)
		if (addr == topology_ifs[i].addr)
			return true;
	return addr >> 24 == 127 || (addr & 0xffffff00) == ANYIP_NET;
}

bool topology_is_refused(uint32_t daddr)
{
	return daddr >= IP(100, 64, 1, 0) && daddr < IP(100, 64, 4, 0);
}

uint32_t topology_source(uint32_t daddr)
{
	unsigned int i;

	if (topology_is_local(daddr))
		return daddr;
	for (i = 0; i < TOPOLOGY_IFS; i++) {
		const struct topology_if *f = &topology_ifs[i];

		if (!((daddr ^ f->addr) >> (32 - f->plen)) || !((daddr ^ f->behind) >> 8))
			return f->addr;
	}
	return topology_ifs[0].addr;
}

/* lo is 1; the tunnels that some kernels put into every namespace may come before ours, but the
 * interfaces are created with these numbers. */
unsigned int topology_ifindex(unsigned int ifno)
{
	return 100 + ifno;
}

const char *topology_if_name(unsigned int ifindex)
{
	if (ifindex == 1)
		return "lo";
	if (ifindex >= 100 && ifindex < 100 + TOPOLOGY_IFS)
		return topology_ifs[ifindex - 100].name;
	return "?";
}

void topology_mac(unsigned int ifno, bool neighbour, uint8_t mac[6])
{
	const uint8_t bytes[6] = {2, 0, 0, 0, neighbour, ifno};

	memcpy(mac, bytes, 6);
}

static void add_addr(struct text *t, uint32_t addr)
{
	text_add(t, "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255);
}

/*
 * No ARP: every address is reached without asking. The neighbour's end gets the frames with a
 * MAC address that is not its own, so that it captures them and does nothing else.
 */
char *topology_host_commands(int neighbour_pid, bool clear)
{
	struct text t = {0};
	unsigned int i;

	text_add(&t, "link set lo up\n");
	for (i = 0; i < TOPOLOGY_IFS; i++) {
		const struct topology_if *f = &topology_ifs[i];

		text_add(&t, "link add %s index %u mtu %u address 02:00:00:00:00:%02x type veth ",
			 f->name, topology_ifindex(i), f->mtu, i);
		text_add(&t, "peer name %s index %u mtu %u address 02:00:00:00:01:%02x netns %d\n",
			 f->name, topology_ifindex(i), f->mtu, i, neighbour_pid);
		text_add(&t, "link set %s arp off up\naddr add ", f->name);
		add_addr(&t, f->addr);
		text_add(&t, "/%u brd + dev %s\nroute add ", f->plen, f->name);
		add_addr(&t, f->behind);
		/* Where any route has a realm, the kernel looks up sources to know theirs. */
		text_add(&t, "/24 dev %s realm %u\n", f->name, clear ? 0 : i % 4);
	}
	text_add(&t, "route add default dev %s\n", topology_ifs[0].name);
	/* Once there has been one of one's own, the kernel validates sources another way. */
	if (!clear)
		text_add(&t, "route add local 192.0.2.0/24 dev lo\n");
	text_add(&t, "route add blackhole 100.64.0.0/24\nroute add unreachable 100.64.1.0/24\n");
	text_add(&t, "route add prohibit 100.64.2.0/24\nroute add throw 100.64.3.0/24\n");
	text_add(&t, "route add anycast 100.64.4.1 dev eth0\n");
	text_add(&t, "route add broadcast 100.64.5.255 dev eth1\n");
	return t.s;
}

char *topology_neighbour_commands(void)
{
	struct text t = {0};
	unsigned int i;

	for (i = 0; i < TOPOLOGY_IFS; i++)
		text_add(&t, "link set %s arp off up\n", topology_ifs[i].name);
	return t.s;
}

static void add_nat(struct text *t)
{
	text_add(t, "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n");
	text_add(t, "-A PREROUTING -p udp --dport 7777 -j CT --notrack\n");
	text_add(t, "-A PREROUTING -p tcp --sport 65534 -j CT --notrack\n");
	text_add(t, "-A OUTPUT -p udp --sport 7777 -j CT --notrack\nCOMMIT\n");
	text_add(t, "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n");
	text_add(t, ":OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n");
	text_add(t, "-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to 172.17.0.2:80\n");
	text_add(t, "-A PREROUTING -p udp -m udp --dport 5353 -j DNAT --to 192.0.2.53\n");
	text_add(t, "-A PREROUTING -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 80\n");
	text_add(t, "-A OUTPUT -p tcp -m tcp --dport 8080 -j DNAT --to 172.17.0.2:80\n");
	/* Every source gets an address of its own: no two flows then compete for a port, which
	 * the kernel would settle by a random number. */
	text_add(t, "-A POSTROUTING -o eth1 -s 10.0.0.0/8 -j NETMAP --to 11.0.0.0/8\n");
	text_add(t, "-A POSTROUTING -o eth1 -s 172.17.0.0/16 -j NETMAP --to 12.34.0.0/16\n");
	text_add(t, "COMMIT\n");
}

const uint32_t topology_marks[TOPOLOGY_MARKS] = {0x1,	  0xff,	      0x100,	  0x8000,
						 0x10000, 0x80000000, 0xdeadbeef, 0xffffffff};

char *topology_tables(bool nat, bool clear)
{
	static const char *const hooks[] = {"INPUT", "FORWARD", "OUTPUT"};
	struct text t = {0};
	unsigned int i;

	text_add(&t, "*mangle\n:PREROUTING ACCEPT [0:0]\n");
	for (i = 0; i < TOPOLOGY_MARKS && !clear; i++)
		text_add(&t, "-A PREROUTING -m dscp --dscp %u -j MARK --set-mark 0x%x\n", i + 1,
			 topology_marks[i]);
	/* Where connections are tracked anyway. */
	if (nat)
		text_add(&t, "-A PREROUTING -m dscp --dscp 9 -j CONNMARK --set-mark 0x5\n");
	text_add(&t, "COMMIT\n*security\n");
	for (i = 0; i < 3; i++)
		text_add(&t, ":%s ACCEPT [0:0]\n", hooks[i]);
	for (i = 0; i < 3; i++)
		text_add(&t, "-A %s -j NFLOG --nflog-group %u\n", hooks[i], TOPOLOGY_NFLOG_GROUP);
	text_add(&t, "COMMIT\n");
	if (nat)
		add_nat(&t);
	return t.s;
}
