//! qdisc
