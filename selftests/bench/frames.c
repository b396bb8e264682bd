// SPDX-License-Identifier: GPL-2.0
/* bench packets: those that a table accepts, or drops, as a file of frames. */
#include "frames.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "model.h"
#include "place.h"

/* So many different ones: 1 MB. */
#define NR_FRAMES 16384

/* subject.sh: 10.255.0.1 */
#define HOST	0x0aff0001
#define TCP_SYN 0x02

static void put(uint8_t *to, uint32_t value, int bytes)
{
	while (bytes--) {
		to[bytes] = value;
		value >>= 8;
	}
}

/* RFC 1071, of @len bytes and what has been added up before. */
static uint16_t checksum(const uint8_t *p, unsigned int len, uint32_t sum)
{
	for (; len > 1; p += 2, len -= 2)
		sum += p[0] << 8 | p[1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

void frame_make(struct frame *f, const struct key *k)
{
	static const uint8_t dest[] = FRAME_DEST;
	uint8_t *ip = f->data + ETH_HLEN, *l4 = ip + 20;
	unsigned int l4len = KEY_LEN - 20;
	uint32_t pseudo = (k->saddr >> 16) + (k->saddr & 0xffff) + (k->daddr >> 16) +
			  (k->daddr & 0xffff) + k->proto + l4len;

	memset(f, 0, sizeof(*f));
	memcpy(f->data, dest, sizeof(dest));
	put(f->data + 12, ETH_P_IP, 2);
	ip[0] = 0x45;
	put(ip + 2, KEY_LEN, 2);
	ip[8] = 64;
	ip[9] = k->proto;
	put(ip + 12, k->saddr, 4);
	put(ip + 16, k->daddr, 4);
	put(ip + 10, checksum(ip, 20, 0), 2);
	put(l4, k->sport, 2);
	if (k->proto == 1) {
		put(l4 + 2, checksum(l4, l4len, 0), 2);
		return;
	}
	put(l4 + 2, k->dport, 2);
	if (k->proto == 17) {
		put(l4 + 4, l4len, 2);
		put(l4 + 6, checksum(l4, l4len, pseudo) ?: 0xffff, 2);
	} else {
		l4[12] = 5 << 4;
		l4[13] = k->tcp_flags;
		put(l4 + 14, 1024, 2);
		put(l4 + 16, checksum(l4, l4len, pseudo), 2);
	}
}

/* Those with the verdict that is wanted, as often as it takes to fill the file. 0 or -errno. */
static int write_frames(const struct options *o, const struct set *s, struct model *m,
			struct xt_counters *counters)
{
	struct key *keys = keys_make(s, NR_KEYS, o->seed);
	uint32_t n = 0, i, fields[BF_NR_FIELDS];
	struct frame *frames = calloc(NR_FRAMES, sizeof(*frames));

	if (!frames)
		abort();
	for (i = 0; i < NR_KEYS && n < NR_FRAMES; i++) {
		/* What comes one way only stays NEW. */
		keys[i].ct_state = CT_NEW;
		if (o->input) {
			keys[i].daddr = HOST;
			keys[i].tcp_flags = TCP_SYN;
		}
		key_fields(s, &keys[i], fields);
		if (model_walk(m, fields, counters) == o->verdict)
			frame_make(&frames[n++], &keys[i]);
	}
	free(keys);
	for (i = n; n && i < NR_FRAMES; i++)
		frames[i] = frames[i - n];
	if (n)
		fwrite(frames, sizeof(*frames), NR_FRAMES, stdout);
	else
		fprintf(stderr, "bench: the set has no such packets\n");
	free(frames);
	return n ? fflush(stdout) : -ENOENT;
}

static int one_set(void *arg, const struct shape *shape, uint32_t rules)
{
	const struct options *o = arg;
	struct set *s = set_make(shape, rules, o->seed);
	struct bf_table *table = NULL;
	struct xt_counters *counters;
	struct model *m = NULL;
	char *text = set_text(s);
	struct bf_why why = {};
	struct place place;
	int err = place_enter(&place);

	err = err ?: place_table(&place, text, &table, &why);
	if (*why.text)
		fprintf(stderr, "bench: %s\n", why.text);
	m = err ? NULL : model_make(table);
	counters = err ? NULL : calloc(table->num_entries, sizeof(*counters));
	err = err ?: m && counters ? write_frames(o, s, m, counters) : -ENOMEM;
	free(counters);
	model_free(m);
	bf_table_free(table);
	bf_env_close(place.env);
	free(text);
	set_free(s);
	return err != 0;
}

int cmd_packets(const struct options *o)
{
	return for_each_set(o, one_set, (void *)o);
}
