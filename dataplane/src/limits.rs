//! Every maximum, with its reason. The frame budget is a sum with one line per holder, checked at compile time.

use xmit_nic::{BURST_FRAMES_MAX, Duration};

/// Ports of one lane. More queues than this on one core are a configuration mistake.
pub const PORTS_MAX: usize = 8;

/// Interfaces of the daemon: what a lane keeps a table of.
pub const INTERFACES_MAX: usize = 64;

/// Neighbours per lane; Linux's `gc_thresh3`.
pub const NEIGHBOURS_MAX: usize = 1024;

/// Packets that wait for one unresolved neighbour. Linux bounds the bytes (`unres_qlen_bytes`, about 100 frames); a
/// resolution takes one round trip, so that more than a small window only grows the loss of a dead neighbour.
pub const NEIGHBOUR_PENDING_MAX: usize = 8;

/// Packets that wait for all unresolved neighbours of a lane together: a scan of a subnet must not eat the pool.
pub const NEIGHBOUR_PENDING_TOTAL_MAX: usize = 512;

/// Packets queued by one port's discipline; Linux's default `tx_queue_len`.
pub const QDISC_FRAMES_MAX: usize = 1000;

/// Frames that a port's receive side holds: the fill and receive rings of AF_XDP together.
pub const PORT_RX_FRAMES: usize = 2048;

/// Frames that a port's transmit side holds: the transmit and completion rings together.
pub const PORT_TX_FRAMES: usize = 2048;

/// Packets looped back locally and not yet received (`netdev_max_backlog`, which is 1,000 for all sources).
pub const LOOPBACK_FRAMES_MAX: usize = 256;

/// Frames handed over by other lanes and not yet taken.
pub const HANDOVER_FRAMES_MAX: usize = 1024;

/// Sockets of one lane, over all its sessions.
pub const SOCKETS_MAX: usize = 65_536;

/// Sessions attached to one lane.
pub const SESSIONS_MAX: usize = 256;

/// Descriptors that a lane waits on: every port's, every session's bell, and those of its three mailboxes.
pub const SLEEP_FDS_MAX: usize = PORTS_MAX * xmit_nic::port::PORT_FDS_MAX + SESSIONS_MAX + 3;

/// Entries of a lane's route cache: covers the peers that are active at one time; a miss costs one FIB lookup.
pub const ROUTE_CACHE_ENTRIES: usize = 4096;

/// Resolution of the timing wheel: a millisecond, Linux's jiffy at `HZ` = 1000.
pub const TIMER_TICK: Duration = Duration::from_millis(1);

/// A lane with frames for a busy port looks again after this long at the latest.
pub const BUSY_PORT_RETRY: Duration = Duration::from_micros(100);

/// Timers of a lane: one per neighbour, and as many again for what the layers above arm.
pub const TIMERS_MAX: usize = 2 * NEIGHBOURS_MAX;

/// Datagrams taken from one session in one turn, so that no client starves another.
pub const SESSION_DATAGRAMS_PER_TURN: usize = 64;

/// Streams of one session that are told of news in their rings in one turn.
pub const SESSION_STREAMS_PER_TURN: usize = 1024;

/// Connections that send in one turn; the others keep their place in the queue.
pub const TCP_READY_PER_TURN: usize = 4096;

/// Connections of a program that is gone may take this long to send what it wrote: Linux gives an orphan up after as many
/// retransmissions as take a minute or two (`tcp_orphan_retries`).
pub const SESSION_LINGER: Duration = Duration::from_secs(60);

/// Control submissions (bind, connect, ...) taken from one session in one turn.
pub const SESSION_SUBMISSIONS_PER_TURN: usize = 32;

/// Commands of the control thread taken in one turn: its mailbox, once.
pub const COMMANDS_PER_TURN: usize = 1024;

/// Timers expired in one turn.
pub const TIMERS_PER_TURN: usize = 256;

/// Frames one port sends in one turn: four bursts keep the ring of a fast NIC busy without starving reception.
pub const QDISC_FRAMES_PER_TURN: usize = 4 * BURST_FRAMES_MAX;

/// The most frames that one lane with one port can hold at once, one line per holder.
pub const FRAME_BUDGET_ONE_PORT: usize = PORT_RX_FRAMES
    + PORT_TX_FRAMES
    + QDISC_FRAMES_MAX
    + BURST_FRAMES_MAX // the burst being received
    + BURST_FRAMES_MAX // the burst being sent
    + NEIGHBOUR_PENDING_TOTAL_MAX
    + LOOPBACK_FRAMES_MAX
    + HANDOVER_FRAMES_MAX; // our frames waiting in other lanes

/// Frames of a lane's pool unless the configuration says otherwise.
pub const POOL_FRAMES_DEFAULT: usize = 16_384;

const _: () = assert!(FRAME_BUDGET_ONE_PORT <= POOL_FRAMES_DEFAULT, "the default pool covers one port");
