// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Steers frames: those for the daemon go to its AF_XDP socket, everything else to the kernel.
//
//   ARP whose target protocol address is in `addresses`      -> socket (questions for, and answers to, the daemon)
//   IPv4 whose destination is in `addresses`, fragments too  -> socket
//   IPv4 UDP or TCP to an open port in `ports`, sent to this
//   station alone, and not a later fragment                  -> socket
//   everything else, and everything without a socket         -> the kernel (XDP_PASS)
//
// A later fragment has no port, so with `ports` a fragmented datagram is not seen whole by the daemon.
// One 802.1Q or 802.1ad tag is looked through.
#include <linux/bpf.h>

#define SEC(name) __attribute__((section(name), used))
#define FIELD_NUMBER(name, value) int(*name)[value]
#define FIELD_TYPE(name, value) value *name
#define INLINE static inline __attribute__((always_inline))
#define BE16(x) __builtin_bswap16(x) // BPF is built for little-endian hosts (target bpfel)

static void *(*const map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*const redirect_map)(void *map, __u64 key, __u64 fallback) = (void *)BPF_FUNC_redirect_map;

enum { SOCKETS_MAX = 1024, ADDRESSES_MAX = 4096, PORTS_MAX = 65536 };
enum { ETH_ARP = 0x0806, ETH_IPV4 = 0x0800, ETH_8021Q = 0x8100, ETH_8021AD = 0x88a8 };
enum { IP_TCP = 6, IP_UDP = 17, IP_OFFSET_MASK = 0x1fff };
enum counter { REDIRECTED, PASSED, MALFORMED, COUNTERS };

struct eth { __u8 destination[6], source[6]; __u16 type; } __attribute__((packed));
struct tag { __u16 tci, type; } __attribute__((packed));
struct arp {
	__u16 hardware, protocol;
	__u8 hardware_len, protocol_len;
	__u16 operation;
	__u8 sender_mac[6];
	__u32 sender;
	__u8 target_mac[6];
	__u32 target;
} __attribute__((packed));
struct ipv4 {
	__u8 version_ihl, tos;
	__u16 total_len, id, fragment;
	__u8 ttl, protocol;
	__u16 checksum;
	__u32 source, destination;
} __attribute__((packed));
struct ports { __u16 source, destination; } __attribute__((packed));

// An open port: address 0 stands for every address. All in the order of the wire.
struct port_key { __u32 address; __u16 port; __u8 protocol, zero; };

struct {
	FIELD_NUMBER(type, BPF_MAP_TYPE_XSKMAP);
	FIELD_NUMBER(max_entries, SOCKETS_MAX);
	FIELD_TYPE(key, __u32);
	FIELD_TYPE(value, __u32);
} sockets SEC(".maps");

struct {
	FIELD_NUMBER(type, BPF_MAP_TYPE_HASH);
	FIELD_NUMBER(map_flags, BPF_F_NO_PREALLOC);
	FIELD_NUMBER(max_entries, ADDRESSES_MAX);
	FIELD_TYPE(key, __u32);
	FIELD_TYPE(value, __u32);
} addresses SEC(".maps");

struct {
	FIELD_NUMBER(type, BPF_MAP_TYPE_HASH);
	FIELD_NUMBER(map_flags, BPF_F_NO_PREALLOC);
	FIELD_NUMBER(max_entries, PORTS_MAX);
	FIELD_TYPE(key, struct port_key);
	FIELD_TYPE(value, __u32);
} ports SEC(".maps");

struct {
	FIELD_NUMBER(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	FIELD_NUMBER(max_entries, COUNTERS);
	FIELD_TYPE(key, __u32);
	FIELD_TYPE(value, __u64);
} counters SEC(".maps");

INLINE int count(enum counter which, int action)
{
	__u32 key = which;
	__u64 *value = map_lookup(&counters, &key);
	if (value)
		*value += 1; // per CPU: nobody else writes it
	return action;
}

INLINE int to_socket(struct xdp_md *ctx)
{
	int action = redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
	return count(action == XDP_REDIRECT ? REDIRECTED : PASSED, action);
}

INLINE int steer_arp(struct xdp_md *ctx, struct arp *arp, void *end)
{
	if ((void *)(arp + 1) > end)
		return count(MALFORMED, XDP_PASS);
	if (arp->protocol != BE16(ETH_IPV4) || arp->hardware_len != 6 || arp->protocol_len != 4)
		return count(PASSED, XDP_PASS);
	__u32 target = arp->target;
	return map_lookup(&addresses, &target) ? to_socket(ctx) : count(PASSED, XDP_PASS);
}

INLINE int steer_port(struct xdp_md *ctx, struct ipv4 *ip, void *end)
{
	struct ports *transport = (void *)ip + (ip->version_ihl & 15) * 4;
	if ((void *)(transport + 1) > end)
		return count(MALFORMED, XDP_PASS);
	struct port_key key = {ip->destination, transport->destination, ip->protocol, 0};
	if (map_lookup(&ports, &key))
		return to_socket(ctx);
	key.address = 0;
	return map_lookup(&ports, &key) ? to_socket(ctx) : count(PASSED, XDP_PASS);
}

INLINE int steer_ipv4(struct xdp_md *ctx, struct ipv4 *ip, void *end, int to_group)
{
	if ((void *)(ip + 1) > end || ip->version_ihl < 0x45 || ip->version_ihl > 0x4f)
		return count(MALFORMED, XDP_PASS);
	__u32 destination = ip->destination;
	if (map_lookup(&addresses, &destination))
		return to_socket(ctx);
	if ((ip->protocol != IP_UDP && ip->protocol != IP_TCP) || to_group || (ip->fragment & BE16(IP_OFFSET_MASK)))
		return count(PASSED, XDP_PASS);
	return steer_port(ctx, ip, end);
}

SEC("xdp")
int steer(struct xdp_md *ctx)
{
	void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct eth *eth = at;
	if ((void *)(eth + 1) > end)
		return count(MALFORMED, XDP_PASS);
	__u16 type = eth->type;
	int to_group = eth->destination[0] & 1;
	at = eth + 1;
	if (type == BE16(ETH_8021Q) || type == BE16(ETH_8021AD)) {
		struct tag *tag = at;
		if ((void *)(tag + 1) > end)
			return count(MALFORMED, XDP_PASS);
		type = tag->type;
		at = tag + 1;
	}
	if (type == BE16(ETH_IPV4))
		return steer_ipv4(ctx, at, end, to_group);
	if (type == BE16(ETH_ARP))
		return steer_arp(ctx, at, end);
	return count(PASSED, XDP_PASS);
}

char terms[] SEC("license") = "Dual MIT/GPL";
