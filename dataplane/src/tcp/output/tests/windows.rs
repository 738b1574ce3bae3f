//! The window that is announced, and buffers that grow.

use super::*;

/// The window in the last segment that left, in bytes.
fn announced(bench: &mut Bench) -> u32 {
    let last = bench.raw_out().pop().unwrap();
    let shift = bench.connection().receive.scale.shift();
    u32::from(View::parse(&last).unwrap().window()) << shift
}

#[test]
fn the_edge_never_moves_back_and_the_window_closes() {
    let mut bench = Bench::new(Settings::default(), Shape { ring: 1 << 16, ..Shape::default() }, |config| {
        config.receive_buffer = 1 << 16;
    });
    let (mut next, mut edge) = (1, 0);
    let mut closed = false;
    for _ in 0..200 {
        let left = bench.connection().window_left();
        if left < 1000 {
            closed = true;
            break;
        }
        bench.receive(In { seq: next, len: 1000, flags: Flags::ACK | Flags::PSH, ..ack(1) });
        next += 1000;
        bench.pass(300 * MS);
        let window = announced(&mut bench);
        assert!(next + window >= edge, "the edge moved from {edge} to {}", next + window);
        edge = next + window;
    }
    assert!(closed, "nobody read");
    // The program reads: the lane hears of it as soon as a window can be announced.
    let mut told = false;
    while !told && next > 1 {
        told = bench.read(1000);
        next -= 1000;
    }
    assert!(told);
    let window = announced(&mut bench);
    assert!(window >= 1000, "{window}");
}

/// The window is limited by what the peer has sent so far, far below what the buffer has grown to: no reading opens it, so that no
/// reading is waited for, and nothing but the data leaves.
#[test]
fn data_is_not_followed_by_an_ack_of_a_window_that_reading_cannot_open() {
    let mut bench = usual();
    bench.step(|connection, _| {
        let receive = &mut connection.receive;
        (receive.buffer, receive.clamp, receive.threshold) = (1 << 19, 1 << 18, receive.wnd.0);
        Fate::Lives
    });
    bench.write(1000, true);
    assert_eq!(bench.out(), [". 1:1001(1000) ack 1"]);
    bench.receive(ack(1001));
    bench.write(1000, true);
    assert_eq!(bench.out(), [". 1001:2001(1000) ack 1"]);
}

#[test]
fn reading_pays_an_ack_that_waits() {
    let mut bench = usual();
    bench.receive(In { len: 100, flags: Flags::ACK | Flags::PSH, ..ack(1) });
    bench.step(|connection, _| {
        connection.ack.quick = 0;
        Fate::Lives
    });
    bench.read(100);
    bench.pass(100 * MS);
    bench.out();
    bench.step(|connection, _| {
        connection.ack.quick = 0;
        Fate::Lives
    });
    bench.receive(In { seq: 101, len: 100, flags: Flags::ACK | Flags::PSH, ..ack(1) });
    assert!(bench.out().is_empty(), "delayed");
    assert!(bench.read(100));
    assert_eq!(bench.out(), [". 1:1(0) ack 201"]);
}

#[test]
fn the_send_ring_grows_with_the_congestion_window() {
    let mut bench = Bench::new(Settings::default(), Shape { ring: 16_384, ..Shape::default() }, |_| ());
    let mut acked = 1;
    for _ in 0..8 {
        bench.write(1 << 20, false);
        let sent = bench.out().len() as u32 * 1000;
        bench.pass(100 * MS);
        acked += sent;
        let nxt = bench.connection().send.nxt.number().wrapping_sub(bench.isn);
        acked = acked.min(nxt);
        bench.receive(In { window: 60_000, ..ack(nxt) });
        bench.out();
    }
    assert!(bench.end.tx_size(SLOT) >= 1 << 17, "{}", bench.end.tx_size(SLOT));
    assert!(bench.end.tx_size(SLOT) <= 1 << 20);
}

#[test]
fn a_fixed_send_buffer_stays() {
    let mut bench = Bench::new(Settings::default(), Shape { ring: 16_384, ..Shape::default() }, |config| {
        config.send_buffer = 16_384;
    });
    bench.write(1 << 20, false);
    assert_eq!(bench.end.tx_size(SLOT), 16_384);
}

/// What has arrived, several segments gathered on the way, fills more than half of the buffer: the ACK waits for the program to read,
/// though the connection is young and its ACKs are quick.
#[test]
fn an_ack_that_would_tell_of_a_smaller_window_waits() {
    let mut bench = Bench::new(Settings::default(), Shape { ring: 1 << 13, ..Shape::default() }, |config| {
        config.receive_buffer = 1 << 14;
    });
    bench.step(|connection, _| {
        connection.receive.advertised_mss = 500;
        Fate::Lives
    });
    let gathered = In { len: 1500, flags: Flags::ACK | Flags::PSH, ..ack(1) };
    for seq in [1, 1501] {
        bench.receive(In { seq, ..gathered });
        assert_eq!(bench.out(), [format!(". 1:1(0) ack {}", seq + 1500)], "quick");
    }
    bench.receive(In { seq: 3001, ..gathered });
    assert_eq!(bench.out(), [""; 0], "delayed");
    bench.pass(40 * MS);
    assert_eq!(bench.out(), [". 1:1(0) ack 4501"]);
}
