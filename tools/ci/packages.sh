#!/bin/sh
# Finds what the build and the end-to-end tests need from Debian, and installs it as root; otherwise prints the one
# line to run and stops. Probes commands, headers and libraries, not package names, so that other systems work as well.
set -eu

missing=""
need() { missing="$missing $1"; }
command_missing() { ! command -v "$1" >/dev/null 2>&1; }
library_missing() { ! cc -x c -o /dev/null - "$@" >/dev/null 2>&1; }

# libbpf and libxdp, built from source by xsk-rs's binding
command_missing cc && need gcc
command_missing make && need make
command_missing clang && need clang
command_missing llc && need llvm
command_missing m4 && need m4
command_missing pkg-config && need pkg-config
echo '#include <libelf.h>
int main(void) { return elf_version(EV_CURRENT) == EV_NONE; }' | library_missing -lelf && need libelf-dev
echo '#include <zlib.h>
int main(void) { return zlibVersion() == 0; }' | library_missing -lz && need zlib1g-dev
echo '#include <pcap/dlt.h>
#include <pcap/pcap.h>
int main(void) { return pcap_lib_version() == 0; }' | library_missing -lpcap && need libpcap-dev
ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1 || need libclang-dev
# the lab, the demo and the end-to-end tests
command_missing ip && [ ! -x /sbin/ip ] && need iproute2
command_missing ethtool && [ ! -x /sbin/ethtool ] && need ethtool
command_missing sysctl && [ ! -x /sbin/sysctl ] && need procps
command_missing ping && need iputils-ping
command_missing tcpdump && [ ! -x /usr/sbin/tcpdump ] && need tcpdump
# instructions for each packet, against benches/budget.toml
command_missing valgrind && need valgrind

[ -z "$missing" ] && exit 0

if ! command_missing apt-get && [ "$(id -u)" = 0 ]; then
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # The lists may be empty or old on a fresh machine; they are fetched once, and only if the first try fails.
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
        apt-get update -q
        apt-get install -y --no-install-recommends $missing
    }
    exit 0
fi

echo "missing:$missing"
echo "run this once as root, then start again:"
echo "    apt-get update && apt-get install -y --no-install-recommends$missing"
exit 1
