//! TIME_WAIT, and FIN_WAIT2 without a program.

use super::*;

/// A connection of a client's that we have closed first, as it stands after its FIN: our next number.
fn closed(world: &mut World) -> u32 {
    world.listen(5, 1, |_| ());
    let isn = world.open_from(4000).seq;
    let id = world.accepted[0];
    world.tcp.with(&mut world.net, world.now, Some(&mut world.end), id, |connection, ctx| connection.close(ctx));
    let fin = world.sent().remove(0);
    assert_eq!((fin.flags.contains(Flags::FIN), fin.seq), (true, isn + 1));
    isn + 2
}

fn seg(flags: Flags, seq: u32, ack: u32) -> Seg {
    Seg::new(flags, seq, ack).with_ts(1010, 0)
}

const FIN: Flags = Flags::from_bits(0x011);

/// The peer has closed, too: TIME_WAIT.
fn both_closed(world: &mut World) -> u32 {
    let next = closed(world);
    let sent = world.input(&seg(FIN, 101, next));
    assert_eq!((sent[0].flags, sent[0].ack), (Flags::ACK, 102));
    assert_eq!((world.tcp.table.time_waits.len(), world.tcp.table.connections.len()), (1, 0));
    next
}

#[test]
fn it_lasts_a_minute() {
    let mut world = World::new(|_| ());
    both_closed(&mut world);
    assert_eq!(world.count(Snmp::TcpExtTW), 1);
    world.pass(59 * SECOND);
    assert_eq!(world.tcp.table.time_waits.len(), 1);
    world.pass(2 * SECOND);
    assert!(world.tcp.table.time_waits.is_empty());
}

#[test]
fn the_fin_again_is_acknowledged_again_and_begins_the_minute_anew() {
    let mut world = World::new(|_| ());
    let next = both_closed(&mut world);
    world.pass(40 * SECOND);
    let sent = world.input(&seg(FIN, 101, next));
    assert_eq!((sent[0].flags, sent[0].seq, sent[0].ack, sent[0].ts.unwrap().echo), (Flags::ACK, next, 102, 1010));
    world.pass(40 * SECOND);
    assert_eq!(world.tcp.table.time_waits.len(), 1);
}

#[test]
fn strangers_are_not_answered_too_often() {
    let mut world = World::new(|_| ());
    let next = both_closed(&mut world);
    let stray = seg(Flags::ACK, 50_000, next);
    assert_eq!(world.input(&stray).len(), 1);
    assert_eq!(world.input(&stray).len(), 0);
    assert_eq!(world.count(Snmp::TcpExtTCPACKSkippedTimeWait), 1);
}

#[test]
fn a_reset_ends_it_unless_rfc_1337_is_followed() {
    for (rfc1337, left) in [(false, 0), (true, 1)] {
        let mut world = World::new(|settings| settings.rfc1337 = rfc1337);
        both_closed(&mut world);
        assert_eq!(world.input(&seg(Flags::RST, 500, 0)), []);
        assert_eq!(world.tcp.table.time_waits.len(), 1, "not its number");
        world.input(&seg(Flags::RST, 102, 0));
        assert_eq!(world.tcp.table.time_waits.len(), left);
    }
}

#[test]
fn a_newer_syn_opens_anew() {
    let mut world = World::new(|_| ());
    let next = both_closed(&mut world);
    let old = Seg { ts: None, ..Seg::syn(50) };
    assert_eq!(world.input(&old)[0].flags, Flags::ACK, "its number is behind");
    let sent = world.input(&Seg::syn(90).with_ts(2000, 0));
    assert_eq!((sent[0].flags, sent[0].seq, sent[0].ack), (SYN_ACK, next + 65_537, 91), "its clock is ahead");
    assert!(world.tcp.table.time_waits.is_empty());
    assert_eq!(world.tcp.table.requests.len(), 1);
}

#[test]
fn there_are_only_so_many() {
    let mut world = World::new(|settings| settings.max_tw_buckets = 0);
    let next = closed(&mut world);
    world.input(&seg(FIN, 101, next));
    assert!(world.tcp.table.time_waits.is_empty());
    assert_eq!(world.count(Snmp::TcpExtTCPTimeWaitOverflow), 1);
}

#[test]
fn an_orphan_waits_for_the_fin_as_a_small_object() {
    let mut world = World::new(|_| ());
    let next = closed(&mut world);
    assert_eq!(world.input(&seg(Flags::ACK, 101, next)), []);
    assert_eq!((world.tcp.table.time_waits.len(), world.tcp.table.connections.len()), (1, 0));
    assert_eq!(world.input(&seg(Flags::ACK, 101, next)), [], "nothing new");
    let sent = world.input(&seg(FIN, 101, next));
    assert_eq!((sent[0].flags, sent[0].seq, sent[0].ack), (Flags::ACK, next, 102));
    assert_eq!(world.input(&seg(FIN, 101, next)).len(), 1, "TIME_WAIT now");
}

#[test]
fn data_for_an_orphan_is_reset() {
    let mut world = World::new(|_| ());
    let next = closed(&mut world);
    world.input(&seg(Flags::ACK, 101, next));
    let sent = world.input(&seg(Flags::ACK, 101, next).with_data(b"late"));
    assert_eq!((sent[0].flags, sent[0].seq), (Flags::RST, next));
    assert!(world.tcp.table.time_waits.is_empty());
}
