// SPDX-License-Identifier: GPL-2.0
#include "traffic.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAYLOAD (TRAFFIC_BYTES - 20 - 8)

int traffic_open(struct traffic *t)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	t->rx = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	t->tx = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (t->rx < 0 || t->tx < 0 || bind(t->rx, (struct sockaddr *)&addr, sizeof(addr)) ||
	    getsockname(t->rx, (struct sockaddr *)&addr, &len) ||
	    connect(t->tx, (struct sockaddr *)&addr, sizeof(addr)))
		return -1;
	t->port = ntohs(addr.sin_port);
	return 0;
}

void traffic_close(struct traffic *t)
{
	if (t->tx >= 0)
		close(t->tx);
	if (t->rx >= 0)
		close(t->rx);
	t->tx = t->rx = -1;
}

int traffic_send(struct traffic *t, int n)
{
	char payload[PAYLOAD] = {0};
	int i, arrived = 0;

	for (i = 0; i < n; i++) {
		send(t->tx, payload, sizeof(payload), 0);
		/* The loopback delivers before send() returns, or in a softirq a moment later. */
		if (recv(t->rx, payload, sizeof(payload), MSG_DONTWAIT) == sizeof(payload))
			arrived++;
	}
	usleep(2000);
	while (recv(t->rx, payload, sizeof(payload), MSG_DONTWAIT) == sizeof(payload))
		arrived++;
	return arrived;
}
