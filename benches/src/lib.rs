//! Benchmarks: what a packet costs, in time and in instructions, and the same work done by the kernel beside it.
//!
//! Owns the packets, the lane on an in-memory wire and the programs that the benchmarks share. Three rungs:
//! * `benches/micro`: single steps of a packet, and whole turns of a lane (criterion);
//! * `bin/trace` and `budget.toml`: instructions of a fixed trace, which repeat exactly;
//! * `bin/udp_echo`, `bin/tcp_echo`: servers over a veth pair, on kernel sockets and on xmitd by turns.
//!
//! Every measurement against the kernel is made side by side in one run, never against a figure from elsewhere.
//! `docs/benchmarks.md` says how to run and read them.

pub mod cable;
pub mod comparison;
pub mod contender;
pub mod cpu;
pub mod echo;
pub mod host;
pub mod idle;
pub mod load;
pub mod memory_port;
pub mod mmsg;
pub mod node;
pub mod numbers;
pub mod outcome;
pub mod packets;
pub mod pingpong;
pub mod report;
pub mod rig;
pub mod roles;
pub mod tcp;
pub mod variant;
