//! What holds after every step of a run, whatever the wire does: windows and memory stay within their bounds.
//!
//! ```text
//!   sender:    una <= nxt <= right edge of the largest window that the other end offered (the FIN may be one behind it)
//!   receiver:  | unread, in the ring | offered, has a place in the ring |  <= bytes of the ring
//!   lane:      segments in use = segments that its connections hold; no more segments, ranges, marks than there are
//! ```

use xmit_dataplane::tcp::commons::Capacity;
use xmit_dataplane::tcp::flow::Flow;
use xmit_dataplane::tcp::seq::SeqNum;
use xmit_dataplane::tcp::table::Place;
use xmit_dataplane::tcp::{Connection, Tcp};
use xmit_script::{End, Pair};

/// What a lane in tests may hold.
const CAPACITY: Capacity = Capacity::SMALL;

/// Both ends keep their bounds.
pub(crate) fn hold(pair: &mut Pair) {
    let seed = pair.seed;
    of(&mut pair.a, &mut pair.b, seed);
    of(&mut pair.b, &mut pair.a, seed);
}

fn of(end: &mut End, other: &mut End, seed: u64) {
    let (tcp, peer) = (&end.host.lane().stack.tcp, &other.host.lane().stack.tcp);
    memory(tcp, seed);
    tcp.table.connections.iter().for_each(|(_, c)| sends(c, peer, seed));
    let rings: Vec<_> = tcp.table.connections.iter().filter_map(|(_, c)| receives(c)).collect();
    rings.into_iter().for_each(|(slot, offered)| ring(end, slot, offered, seed));
}

/// What connections of a lane share.
fn memory(tcp: &Tcp, seed: u64) {
    let (commons, table) = (&tcp.commons, &tcp.table);
    let held: usize = table.connections.iter().map(|(_, c)| c.sent.segments() as usize).sum();
    assert_eq!(commons.slab.in_use(), held, "seed {seed}: segments in use, and those of connections");
    assert_eq!(commons.slab.in_use() + commons.slab.room(), CAPACITY.segments, "seed {seed}: segments");
    assert!(commons.ranges.in_use() <= CAPACITY.ranges, "seed {seed}: {} ranges", commons.ranges.in_use());
    assert!(commons.marks.in_use() <= CAPACITY.marks, "seed {seed}: {} marks", commons.marks.in_use());
    let (episodes, most) = (commons.episodes.in_use(), table.connections.len());
    assert!(episodes <= most, "seed {seed}: {episodes} episodes of {most} connections");
    let held = (table.connections.len(), table.requests.len(), table.time_waits.len());
    let most = (CAPACITY.connections, CAPACITY.requests, CAPACITY.time_waits);
    assert!(held.0 <= most.0 && held.1 <= most.1 && held.2 <= most.2, "seed {seed}: {held:?} of {most:?}");
}

/// What `c` has under way fits what it was offered, by its own book and by that of its peer.
fn sends(c: &Connection, peer: &Tcp, seed: u64) {
    let (una, nxt) = (c.send.una, c.send.nxt);
    assert!(una.at_or_before(nxt), "seed {seed}: una {una:?}, nxt {nxt:?}");
    if !c.state.is_synchronized() {
        return;
    }
    // Connections whose handshake is over have at most a FIN beside their data.
    let under_way = nxt.since(una);
    assert!(under_way <= c.send.wnd_max.0 + 1, "seed {seed}: {under_way} bytes under way, {:?}", c.send.wnd_max);
    if let Some(edge) = offered_by(peer, c) {
        let beyond = nxt.distance(edge);
        assert!(beyond <= 1, "seed {seed}: {beyond} bytes beyond what was offered");
    }
}

/// The right edge of what the other end of `c` offered, unless it took it back (data that had no place: `ICSK_ACK_NOMEM`).
fn offered_by(peer: &Tcp, c: &Connection) -> Option<SeqNum> {
    let flow = Flow { local: c.flow.remote, remote: c.flow.local };
    let Some(Place::Connection(index)) = peer.table.lookup(&flow) else { return None };
    let receive = &peer.table.connections.get(index)?.receive;
    (receive.wnd.0 > 0).then(|| receive.wup + receive.wnd.0)
}

/// The slot of a connection whose program reads, and how much the peer may still send.
fn receives(c: &Connection) -> Option<(u32, u32)> {
    let reads = c.state.is_synchronized() && !c.receive.shut && !c.closed_by_user;
    let edge = c.receive.wup + c.receive.wnd.0;
    Some((c.owner.filter(|_| reads)?.slot, edge.distance(c.receive.nxt).max(0).cast_unsigned()))
}

fn ring(end: &mut End, slot: u32, offered: u32, seed: u64) {
    let (unread, size) = end.client.unread(slot).unwrap();
    assert!(unread <= size, "seed {seed}: {unread} bytes in a ring of {size}");
    assert!(unread + offered <= size, "seed {seed}: {offered} bytes offered beside {unread} in a ring of {size}");
    let (all, unsent) = end.client.outstanding(slot).unwrap();
    assert!(unsent <= all && all <= end.client.send_size(slot), "seed {seed}: {unsent} of {all} bytes are not sent");
}
