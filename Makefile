# Two commands do everything on a fresh machine with a Rust toolchain and gcc:
#
#     make demo     installs what is missing, builds, shows what works
#     make test     installs what is missing, runs everything that CI runs
#
# Both install the missing Debian packages when they run as root, and otherwise print the one line to run.

CARGO ?= cargo

.PHONY: demo test deps check bench bench-micro bench-budget bench-echo bench-tcp bench-pingpong bench-idle

# Built as the tests are, so that a fresh clone is built once; figures of speed are those of `make bench`.
demo: deps
	$(CARGO) build -p xmit-tools -p xmitd
	$(CARGO) run --quiet -p xmit-tools --bin xmit -- demo

test: deps
	tools/ci/test.sh

# What the build needs from the system.
deps:
	tools/ci/packages.sh

# What an editor should show already: the quick half of `make test`.
check: deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test -p xmit-tidy

# The benchmarks at full size: steps of a packet, instructions of fixed traces, two lanes in memory, many connections, and UDP and TCP
# servers beside the kernel's (as root).
bench: deps bench-micro bench-budget bench-pingpong bench-idle bench-echo bench-tcp

bench-micro:
	$(CARGO) bench -p xmit-benches --bench micro

# Instructions for each packet of fixed traces under callgrind, against benches/budget.toml.
bench-budget:
	$(CARGO) test --release -p xmit-benches --test budget -- --show-output

bench-echo:
	$(CARGO) run --release -p xmit-benches --bin udp_echo -- --rounds 7 --seconds 1

bench-tcp:
	$(CARGO) run --release -p xmit-benches --bin tcp_echo -- --rounds 7 --seconds 1

# Two stacks on two lanes joined in memory.
bench-pingpong:
	$(CARGO) run --release -p xmit-benches --bin tcp_pingpong

# A million connections on one lane.
bench-idle:
	$(CARGO) run --release -p xmit-benches --bin tcp_idle
