/* A program in C on the embedded stack: what include/xm_abi.h promises is what the library exports. */
#include "xm_abi.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#define CHECK(condition)                                                         \
	do {                                                                     \
		if (!(condition)) {                                              \
			printf("line %d: %s (errno %d)\n", __LINE__, #condition, errno); \
			return 1;                                                \
		}                                                                \
	} while (0)

/* UDP from 192.0.2.1:1000 to 192.168.0.2:7 with the payload "ping", without a checksum of UDP's own. */
static const unsigned char datagram[] = {
	0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0xf8, 0x20, 192, 0, 2, 1, 192, 168, 0, 2,
	0x03, 0xe8, 0, 7, 0, 12, 0, 0, 'p', 'i', 'n', 'g',
};

int main(void)
{
	/* Every name of the header, so that none can be missing from the library. */
	const void *names[] = {
		xm_socket, xm_bind, xm_listen, xm_accept, xm_connect, xm_read, xm_readv, xm_recv, xm_recvfrom,
		xm_recvmsg, xm_write, xm_writev, xm_send, xm_sendto, xm_sendmsg, xm_fcntl, xm_ioctl, xm_close,
		xm_shutdown, xm_getsockopt, xm_setsockopt, xm_poll, xm_epoll_create, xm_epoll_ctl, xm_epoll_wait,
		xm_netdev_inject, xm_netdev_collect, xm_init, xm_fini, xm_netdev_wait, xm_service, xm_clock_usecs,
		xm_clock_sleep, xm_pipe, xm_splice, xm_sendfile, xm_sysctl,
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		CHECK(names[i] != NULL);

	CHECK(xm_init("local_ip=192.168.0.2,prefix_len=16,gateway_ip=192.168.0.1,remote_ip=192.0.2.1,mtu=1500") == 0);
	CHECK(xm_sysctl("net.ipv4.tcp_timestamps", "1") == 0);
	CHECK(xm_sysctl("net.ipv4.no_such_name", "1") == -1 && errno == ENOENT);

	int fd = xm_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
	CHECK(fd >= 0);
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(7) };
	CHECK(xm_bind(fd, (struct sockaddr *)&any, sizeof any) == 0);
	CHECK(xm_fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	char buffer[64];
	CHECK(xm_read(fd, buffer, sizeof buffer) == -1 && errno == EAGAIN);

	int epfd = xm_epoll_create(1);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	CHECK(xm_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) == 0);
	CHECK(xm_netdev_inject(datagram, sizeof datagram) == 0);
	CHECK(xm_epoll_wait(epfd, &event, 1, 0) == 1 && event.data.fd == fd && event.events == EPOLLIN);

	struct sockaddr_in peer;
	struct iovec parts[2] = { { buffer, 2 }, { buffer + 2, sizeof buffer - 2 } };
	struct msghdr message = { .msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = parts, .msg_iovlen = 2 };
	CHECK(xm_recvmsg(fd, &message, 0) == 4 && memcmp(buffer, "ping", 4) == 0);
	CHECK(peer.sin_addr.s_addr == inet_addr("192.0.2.1") && ntohs(peer.sin_port) == 1000);
	message.msg_controllen = 0;
	parts[1].iov_len = 2;
	CHECK(xm_sendmsg(fd, &message, MSG_NOSIGNAL) == 4);

	int64_t before = xm_clock_usecs(), time = 0;
	xm_clock_sleep(1000000);
	CHECK(xm_clock_usecs() > before + 1000000);
	unsigned char left[2048];
	CHECK(xm_netdev_collect(left, sizeof left, &time) == 32 && time < before && time > 0);
	CHECK(memcmp(left + 12, datagram + 16, 4) == 0 && memcmp(left + 28, "ping", 4) == 0);
	CHECK(xm_netdev_collect(left, sizeof left, &time) == 0);

	int type;
	socklen_t len = sizeof type;
	CHECK(xm_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM && len == sizeof type);
	CHECK(xm_write(fd, (void *)8, 100) == -1 && errno == EFAULT);
	CHECK(xm_close(fd) == 0 && xm_close(fd) == -1 && errno == EBADF);
	xm_fini();
	CHECK(xm_init("") == 0);
	xm_fini();
	puts("ok");
	return 0;
}
