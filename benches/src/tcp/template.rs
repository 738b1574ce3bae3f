//! Segments that differ in a few fields: made once by the stack's own emitters, then copied and patched.
//!
//! A checksum is linear: the sum of a template with zeroes in its fields, plus the words of the fields, is the sum of the segment.

use crate::host::ENDS;
use std::net::Ipv4Addr;
use xmit_dataplane::wire::checksum::Sum;
use xmit_dataplane::wire::compose;
use xmit_dataplane::wire::ethernet::{self, EtherType};
use xmit_dataplane::wire::ipv4::{self, Protocol};
use xmit_dataplane::wire::tcp::{Flags, Header};
use xmit_dataplane::wire::tcp_options::{Options, Timestamps};
use xmit_nic::Frame;

/// The segments that a far end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Syn,
    Ack,
    Data,
    Fin,
}

/// What differs from segment to segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    pub(super) source: Ipv4Addr,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) time: u32,
    pub(super) echo: u32,
}

/// One segment of each kind.
#[derive(Debug)]
pub(super) struct Templates {
    syn: Template,
    ack: Template,
    data: Template,
    fin: Template,
    payload: u32,
}

#[derive(Debug)]
struct Template {
    frame: Vec<u8>,
    /// Sums of the IPv4 header and of the segment with its pseudo-header, fields and checksums zero.
    ip_sum: u32,
    tcp_sum: u32,
    /// Where the timestamps stand.
    times_at: usize,
}

const IP: usize = ethernet::LEN;
const TCP: usize = IP + ipv4::LEN;
/// A window of 8 MiB with the scale of the SYN, and 64 KiB in it.
const WINDOW: u16 = u16::MAX;
const WINDOW_SCALE: u8 = 7;
const MSS: u16 = 1460;

impl Templates {
    /// Templates whose data segments carry `payload` bytes.
    pub(super) fn new(payload: usize) -> Self {
        let times = Options { timestamps: Some(Timestamps::default()), ..Options::NONE };
        let all = Options { mss: Some(MSS), window_scale: Some(WINDOW_SCALE), sack_permitted: true, ..times };
        Self {
            syn: Template::new(Flags::SYN, all, 28, 0),
            ack: Template::new(Flags::ACK, times, 24, 0),
            data: Template::new(Flags::ACK | Flags::PSH, times, 24, payload),
            fin: Template::new(Flags::ACK | Flags::FIN, times, 24, 0),
            payload: payload as u32,
        }
    }

    /// Sequence numbers that a segment takes.
    pub(super) fn sequence_len(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Syn | Kind::Fin => 1,
            Kind::Ack => 0,
            Kind::Data => self.payload,
        }
    }

    /// Makes `frame` the segment of this kind with these fields.
    pub(super) fn fill(&self, kind: Kind, patch: &Patch, frame: &mut Frame) {
        let template = match kind {
            Kind::Syn => &self.syn,
            Kind::Ack => &self.ack,
            Kind::Data => &self.data,
            Kind::Fin => &self.fin,
        };
        frame.fill(&template.frame);
        template.patch(patch, frame.bytes_mut());
    }
}

impl Template {
    fn new(flags: Flags, options: Options<'_>, times_at: usize, payload: usize) -> Self {
        let header = Header { flags, window: WINDOW, options, ..Header::default() };
        let (host, peer) = (ENDS.host, ENDS.peer);
        let datagram = compose::tcp(Ipv4Addr::UNSPECIFIED, host.0, &header, &vec![0x5a; payload]);
        let mut frame = compose::ethernet(peer.1, host.1, EtherType::IPV4, &datagram);
        put16(&mut frame, IP + 10, 0);
        put16(&mut frame, TCP + 16, 0);
        let (ip, segment) = (frame.get(IP..TCP).unwrap_or_default(), frame.get(TCP..).unwrap_or_default());
        let pseudo = Sum::pseudo_header(Ipv4Addr::UNSPECIFIED, host.0, Protocol::TCP.0, segment.len() as u16);
        let (ip_sum, tcp_sum) = (sum(Sum::new().append(ip)), sum(pseudo.append(segment)));
        Self { frame, ip_sum, tcp_sum, times_at: TCP + times_at }
    }

    fn patch(&self, patch: &Patch, frame: &mut [u8]) {
        let source = u32::from(patch.source);
        put32(frame, IP + 12, source);
        put16(frame, IP + 10, folded(self.ip_sum + halves(source)));
        put16(frame, TCP, patch.source_port);
        put16(frame, TCP + 2, patch.destination_port);
        put32(frame, TCP + 4, patch.seq);
        put32(frame, TCP + 8, patch.ack);
        put32(frame, self.times_at, patch.time);
        put32(frame, self.times_at + 4, patch.echo);
        let ports = u32::from(patch.source_port) + u32::from(patch.destination_port);
        let numbers = halves(patch.seq) + halves(patch.ack) + halves(patch.time) + halves(patch.echo);
        put16(frame, TCP + 16, folded(self.tcp_sum + halves(source) + ports + numbers));
    }
}

/// The sum of the words so far.
fn sum(sum: Sum) -> u32 {
    sum.fold().into()
}

fn halves(word: u32) -> u32 {
    (word >> 16) + (word & 0xffff)
}

/// A checksum of a sum of fewer than 65,536 words.
fn folded(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    !((once & 0xffff) + (once >> 16)) as u16
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmit_dataplane::wire::checksum::{self, Verdict};
    use xmit_dataplane::wire::tcp::Tcp;
    use xmit_nic::Pool;

    #[test]
    fn patched_segments_have_good_checksums() {
        let mut pool = Pool::anonymous(0, 4).unwrap();
        for payload in [64, 1447, 1448] {
            let templates = Templates::new(payload);
            for number in crate::numbers::numbers(7).take(200) {
                let patch = Patch {
                    source: Ipv4Addr::from(number as u32),
                    source_port: (number >> 32) as u16,
                    destination_port: (number >> 48) as u16,
                    seq: (number >> 7) as u32,
                    ack: (number >> 11) as u32,
                    time: (number >> 3) as u32,
                    echo: (number >> 5) as u32,
                };
                for kind in [Kind::Syn, Kind::Ack, Kind::Data, Kind::Fin] {
                    let mut frame = pool.acquire().unwrap();
                    templates.fill(kind, &patch, &mut frame);
                    assert!(checksum::verify(&frame.bytes()[IP..TCP]));
                    let segment = Tcp::parse(&frame.bytes()[TCP..]).unwrap();
                    let len = (frame.len() - TCP) as u16;
                    let pseudo = Sum::pseudo_header(patch.source, ENDS.host.0, Protocol::TCP.0, len);
                    assert_eq!(segment.verify(pseudo), Verdict::Good, "{kind:?}");
                    let times = Timestamps { value: patch.time, echo: patch.echo };
                    assert_eq!(segment.options().timestamps, Some(times));
                    assert_eq!((segment.seq(), segment.ack()), (patch.seq, patch.ack));
                    pool.release(frame);
                }
            }
        }
    }
}
