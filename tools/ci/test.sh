#!/bin/bash
# Everything that CI runs. A failed step does not stop the others, so that one run tells all; the last line counts.
set -u -o pipefail
cd "$(dirname "$0")/../.."
logs=target/ci
mkdir -p $logs
rm -f $logs/*.log
export PATH="$PATH:/usr/sbin:/sbin"

# run NAME COMMAND..: shows what the command prints and keeps it.
run() {
    local name=$1
    shift
    echo "== $name" | tee "$logs/$name.log"
    "$@" 2>&1 | tee -a "$logs/$name.log"
}

# step NAME COMMAND..: a step that is no test program and counts as one test.
step() {
    local end=ok
    run "$@" || end=FAILED
    echo "STEP $1: $end" | tee -a "$logs/$1.log"
}

# tests NAME COMMAND..: test programs count themselves; where none could (a build that failed, a crash) it is one failure.
tests() {
    run "$@" && return
    grep -q '^test result: FAILED' "$logs/$1.log" || echo "STEP $1: FAILED" | tee -a "$logs/$1.log"
}

# optional NAME PROGRAM COMMAND..: a step whose program may be absent.
optional() {
    local name=$1 program=$2
    shift 2
    if command -v "$program" >/dev/null && "$program" --version >/dev/null 2>&1; then
        step "$name" "$@"
    else
        echo "STEP $name: SKIPPED, $program is not installed" | tee -a "$logs/$name.log"
    fi
}

optional format cargo-fmt cargo fmt --all --check
optional deny cargo-deny cargo deny check
optional clippy cargo-clippy cargo clippy --workspace --all-targets --quiet -- -D warnings
# One build of the workspace serves unit, integration and documentation tests, tidy, and the benchmarks with tiny inputs:
# `--all-targets` runs every benchmark once through, as a test.
tests workspace cargo test --workspace --all-targets --no-fail-fast -- --show-output
tests documentation cargo test --workspace --doc --no-fail-fast
# The models are another build of one small crate, in a directory of its own so that the two do not push each other out.
tests models env RUSTFLAGS="--cfg loom" cargo test -p xmit-shared --lib --target-dir target/loom --no-fail-fast
# Instructions for each packet are those of an optimised build.
tests budget cargo test --release -p xmit-benches --test budget -- --show-output

awk -f tools/ci/summarize.awk $logs/*.log
