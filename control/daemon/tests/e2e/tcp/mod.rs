//! TCP with the kernel as the peer: each scenario is written once, and played by the kernel with xmit, by xmit with the kernel, and by
//! two kernels, which shows that the scenario itself is right.
//!
//! A reset is sent once, and data in a SYN that is lost goes again without it: where frames may be lost (a bad wire, a card that has room
//! for one), `lost_resets` and `fast_open_in_the_end` go on until they were seen. `timed_out` is played where nothing is lost alone: its
//! limits are of time.
//!
//! `ends` has sockets of either kind with one set of calls, `places` what lies between them; the other files are scenarios.

mod bulk;
mod closing;
mod death;
mod ends;
mod fast_open;
mod groups;
mod listening;
mod places;
mod ports;
mod refusals;
mod urgent;
mod window;

use std::time::Duration;

use xmit_netns::require_root;
use xmit_nic::sim::Impairment;
use xmit_shared::clock::monotonic;

use crate::harness::{Card, Lab, Timing};
use crate::lanes::{TWO, two_queues};
use places::{Place, Players};

/// A fast and a slow wire with everything that can go wrong on a wire.
const BAD: Impairment = Impairment {
    loss_ppm: 10_000,
    duplicate_ppm: 5_000,
    corrupt_ppm: 2_000,
    reorder_ppm: 10_000,
    delay: Duration::from_millis(3),
    jitter: Duration::from_micros(500),
    ..Impairment::NONE
};

/// Plays `scenario` with both roles for xmit and for the kernel, in one place.
fn play(place: &Place, scenario: impl Fn(&Players<'_>)) {
    for players in place.players() {
        println!("{} connects to {}", players.client, players.server);
        let start = monotonic();
        scenario(&players);
        println!("    took {:?}", monotonic().saturating_since(start));
    }
}

/// Over AF_XDP, on a wire that loses nothing.
macro_rules! scenarios {
    ($($(#[$doc:meta])* $test:ident: $scenario:expr;)*) => {
        $($(#[$doc])* #[test]
        fn $test() {
            require_root!(stringify!($test));
            let place = Place::new(Lab::new("tcp"));
            play(&place, $scenario);
            place.end();
        })*
    };
}

scenarios! {
    tcp_bulk_both_ways_at_once: |players| bulk::exchange(players, 8 << 20);
    tcp_many_short_connections: |players| bulk::many(players, 8, 50);
    tcp_half_close: |players| closing::half_close(players, 1 << 20);
    tcp_resets: closing::resets;
    tcp_unread_data_resets: closing::unread_data_resets;
    tcp_sending_to_nobody_resets: closing::sending_to_nobody_resets;
    tcp_both_close_at_once: closing::both_close_at_once;
    tcp_urgent_data: urgent::urgent;
    tcp_zero_window: window::zero_window;
    tcp_fast_open: fast_open::fast_open;
    tcp_refused: refusals::refused;
    tcp_timed_out: refusals::timed_out;
    tcp_backlog_overflow: listening::overflow;
}

#[test]
fn tcp_through_a_bad_wire() {
    require_root!("tcp_through_a_bad_wire");
    let place = Place::new(Lab::impaired("bad", 7, BAD));
    play(&place, |players| {
        bulk::exchange(players, 256 << 10);
        bulk::many(players, 4, 5);
        closing::half_close(players, 64 << 10);
        closing::both_close_at_once(players);
        closing::lost_resets(players);
        urgent::urgent(players);
        window::zero_window(players);
        fast_open::fast_open_in_the_end(players);
    });
    place.end();
}

/// Nothing is lost there, so that a reset must be heard the first time, whatever overtakes it or comes twice.
#[test]
fn tcp_resets_through_a_wire_that_reorders() {
    require_root!("tcp_resets_through_a_wire_that_reorders");
    let wire = Impairment { loss_ppm: 0, corrupt_ppm: 0, duplicate_ppm: 200_000, reorder_ppm: 200_000, ..BAD };
    let place = Place::new(Lab::impaired("order", 8, wire));
    play(&place, |players| {
        closing::resets(players);
        closing::unread_data_resets(players);
        closing::sending_to_nobody_resets(players);
        refusals::refused(players);
    });
    place.end();
}

#[test]
fn tcp_on_two_lanes() {
    require_root!("tcp_on_two_lanes");
    let Some(lab) = two_queues("tcp_on_two_lanes", "two") else { return };
    let place = Place::with(lab, TWO);
    play(&place, |players| {
        bulk::exchange(players, 2 << 20);
        bulk::many(players, 8, 20);
    });
    place.end();
}

#[test]
fn tcp_over_a_card() {
    require_root!("tcp_over_a_card");
    for (timing, peer_is_card) in [(Timing::Wire, true), (Timing::FreeRun, false)] {
        let card = Card { timing, tap: false, peer_is_card };
        println!("over {card:?}");
        let place = Place::on_card(Lab::new("card"), card);
        play(&place, |players| {
            bulk::exchange(players, 64 << 10);
            bulk::many(players, 2, 5);
            closing::half_close(players, 32 << 10);
            closing::resets(players);
            urgent::urgent(players);
            refusals::refused(players);
            window::zero_window(players);
            fast_open::fast_open_in_the_end(players);
        });
        place.end();
    }
}

/// At the wire's own speed the card loses frames besides, as `tcp_over_a_card` shows; a lost SYN costs a second, so connections are few.
#[test]
fn tcp_over_a_card_through_a_bad_wire() {
    require_root!("tcp_over_a_card_through_a_bad_wire");
    let card = Card { timing: Timing::FreeRun, tap: false, peer_is_card: false };
    let place = Place::on_card_resolved(Lab::impaired("badcard", 9, BAD), card);
    play(&place, |players| {
        bulk::exchange(players, 64 << 10);
        bulk::many(players, 2, 3);
        closing::half_close(players, 32 << 10);
        closing::lost_resets(players);
        urgent::urgent(players);
        window::zero_window(players);
        fast_open::fast_open_in_the_end(players);
    });
    place.end();
}
