//! `TCP_INFO` in Linux's layout (`struct tcp_info`, `include/uapi/linux/tcp.h`, as of Linux 6.12).
//!
//! The fields have the kernel's names without their prefix; times are in microseconds or milliseconds as the kernel's are.

/// Declares the structure once: its fields in order, how it is written and how it is read.
macro_rules! tcp_info {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty,)+) => {
        /// What `getsockopt(TCP_INFO)` gives.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct TcpInfo {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl TcpInfo {
            /// The bytes that the kernel would give.
            pub fn encode(&self) -> [u8; TCP_INFO_BYTES] {
                let mut bytes = [0; TCP_INFO_BYTES];
                $(put(&mut bytes, core::mem::offset_of!(Self, $field), &self.$field.to_ne_bytes());)+
                bytes
            }

            /// The inverse.
            pub fn decode(bytes: &[u8; TCP_INFO_BYTES]) -> Self {
                Self { $($field: <$type>::from_ne_bytes(take(bytes, core::mem::offset_of!(Self, $field))),)+ }
            }
        }
    };
}

tcp_info! {
    /// `TCP_ESTABLISHED` (1) and its like.
    state: u8,
    /// `TCP_CA_Open` (0), `Disorder`, `CWR`, `Recovery`, `Loss`.
    ca_state: u8,
    /// Timeouts in a row of the oldest segment.
    retransmits: u8,
    /// Unanswered probes of a zero window or of keepalive.
    probes: u8,
    /// Exponent of the back-off.
    backoff: u8,
    /// `TCPI_OPT_TIMESTAMPS` (1), `SACK` (2), `WSCALE` (4), `ECN` (8), `SYN_DATA` (32); `ECN_SEEN` (16) is never set.
    options: u8,
    /// Window scales: the peer's in the low four bits, ours in the high ones.
    wscales: u8,
    /// Bit 0: the delivery rate was limited by the program; bits 1 and 2, why fast open failed, are zero.
    app_limited_fastopen_fail: u8,
    /// Retransmission timeout, microseconds.
    rto: u32,
    /// Delayed acknowledgement timeout, microseconds.
    ato: u32,
    /// Largest segment sent.
    snd_mss: u32,
    /// Largest segment received.
    rcv_mss: u32,
    /// Segments in flight; of a listener, connections that wait to be accepted.
    unacked: u32,
    /// Segments acknowledged selectively; of a listener, its backlog.
    sacked: u32,
    /// Segments taken for lost.
    lost: u32,
    /// Segments retransmitted and in flight.
    retrans: u32,
    /// Zero.
    fackets: u32,
    /// Milliseconds since data was sent.
    last_data_sent: u32,
    /// Zero.
    last_ack_sent: u32,
    /// Milliseconds since data was received.
    last_data_recv: u32,
    /// Milliseconds since an acknowledgement was received.
    last_ack_recv: u32,
    /// Path MTU.
    pmtu: u32,
    /// Limit of the window announced.
    rcv_ssthresh: u32,
    /// Smoothed round-trip time, microseconds.
    rtt: u32,
    /// Its variance, microseconds.
    rttvar: u32,
    /// Slow start threshold, segments.
    snd_ssthresh: u32,
    /// Congestion window, segments.
    snd_cwnd: u32,
    /// MSS announced.
    advmss: u32,
    /// Reordering distance, segments.
    reordering: u32,
    /// Receiver's estimate of the round-trip time, microseconds.
    rcv_rtt: u32,
    /// Receive buffer that the path needs.
    rcv_space: u32,
    /// Segments retransmitted ever.
    total_retrans: u32,
    /// Bytes a second.
    pacing_rate: u64,
    /// Bytes a second.
    max_pacing_rate: u64,
    /// Bytes acknowledged.
    bytes_acked: u64,
    /// Bytes received in order.
    bytes_received: u64,
    /// Segments sent.
    segs_out: u32,
    /// Segments received.
    segs_in: u32,
    /// Bytes written and never sent.
    notsent_bytes: u32,
    /// Smallest round-trip time, microseconds.
    min_rtt: u32,
    /// Segments with data received.
    data_segs_in: u32,
    /// Segments with data sent.
    data_segs_out: u32,
    /// Bytes a second.
    delivery_rate: u64,
    /// Microseconds with data to send.
    busy_time: u64,
    /// Microseconds limited by the peer's window.
    rwnd_limited: u64,
    /// Microseconds limited by the send buffer.
    sndbuf_limited: u64,
    /// Segments delivered.
    delivered: u32,
    /// Of them with a congestion mark.
    delivered_ce: u32,
    /// Bytes sent, retransmissions included.
    bytes_sent: u64,
    /// Bytes retransmitted.
    bytes_retrans: u64,
    /// D-SACKs received.
    dsack_dups: u32,
    /// Times that reordering was seen.
    reord_seen: u32,
    /// Segments received out of order.
    rcv_ooopack: u32,
    /// The peer's window, bytes.
    snd_wnd: u32,
    /// Our window, bytes.
    rcv_wnd: u32,
    /// Zero: a flow's hash stays.
    rehash: u32,
    /// Retransmission timeouts.
    total_rto: u16,
    /// Zero: series of them that were recovered from are not counted.
    total_rto_recoveries: u16,
    /// Zero: nor is the time spent in them.
    total_rto_time: u32,
}

/// Bytes of `struct tcp_info`.
pub const TCP_INFO_BYTES: usize = size_of::<TcpInfo>();

fn put(bytes: &mut [u8], offset: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(offset..offset + field.len()) {
        place.copy_from_slice(field);
    }
}

fn take<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

// The kernel's offsets; programs read what they know and ignore the rest, so none may move.
const _: () = assert!(core::mem::offset_of!(TcpInfo, rto) == 8 && core::mem::offset_of!(TcpInfo, rtt) == 68);
const _: () =
    assert!(core::mem::offset_of!(TcpInfo, pacing_rate) == 104 && core::mem::offset_of!(TcpInfo, min_rtt) == 148);
const _: () = assert!(core::mem::offset_of!(TcpInfo, snd_wnd) == 228 && TCP_INFO_BYTES == 248);
const _: () = assert!(align_of::<TcpInfo>() == 8);
