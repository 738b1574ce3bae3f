//! Tests of the 3C501 that need more than one file's knowledge.
//!
//! `vectors_*`: the register sequences of the card's fact sheet, one test each, by number.

mod bench;
mod collisions;
mod driver;
mod ports;
mod random;
mod vectors_host;
mod vectors_rx;
mod vectors_tx;
