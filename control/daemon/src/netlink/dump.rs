//! Asking the kernel: whole tables, and one neighbour.

use super::message;
use super::view::{KernelAddress, KernelInterface, KernelNeighbour, KernelRoute};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::net::{RecvFlags, sockopt};
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Bytes of one receive: more than the 32 KiB at which the kernel cuts a dump, and than a link with 100 VFs.
pub(super) const RECEIVE_BYTES: usize = 128 << 10;

/// The kernel answers a dump in its own system call; longer means that it never will.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// How often a dump is begun again because the table changed meanwhile, before what was read is taken as it is and
/// reading anew is left to the next notice.
const DUMP_ATTEMPTS: u32 = 8;

/// Netlink failed.
#[derive(Debug, thiserror::Error)]
#[error("netlink: cannot {doing}: {error}; the kernel's interfaces, addresses and routes are not known without it")]
pub struct NetlinkError {
    /// The step that failed.
    pub doing: &'static str,
    /// Why.
    pub error: io::Error,
}

/// Says which step an I/O error belongs to.
pub(super) fn failed(doing: &'static str) -> impl Fn(io::Error) -> NetlinkError {
    move |error| NetlinkError { doing, error }
}

/// A socket for questions. Each waits for its answer.
#[derive(Debug)]
pub struct Dump {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
    /// Dumps begun again because the table changed meanwhile.
    pub interrupted: u64,
    /// Messages that the decoder did not understand and that are missing from the result.
    pub not_understood: u64,
}

/// One table as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<T> {
    /// Its rows, in the kernel's order.
    pub rows: Vec<T>,
    /// It did not change while it was read.
    pub whole: bool,
}

/// One pass over one table.
enum Pass {
    Whole,
    Interrupted,
}

impl Dump {
    /// A socket in the current network namespace.
    ///
    /// # Errors
    /// No socket to be had.
    pub fn open() -> Result<Self, NetlinkError> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            // Connected to the kernel (port 0), the socket takes messages from nobody else.
            socket.connect(&SocketAddr::new(0, 0))?;
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(ANSWER_TIME_MAX))?;
            Ok(socket)
        };
        let socket = open().map_err(failed("open a socket"))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; RECEIVE_BYTES], interrupted: 0, not_understood: 0 })
    }

    /// `RTM_GETLINK`: every link, without addresses.
    ///
    /// # Errors
    /// The kernel's refusal, or an answer that is none.
    pub fn links(&mut self) -> Result<Table<KernelInterface>, NetlinkError> {
        self.table(RouteNetlinkMessage::GetLink(LinkMessage::default()), "list links", |row| match row {
            RouteNetlinkMessage::NewLink(message) => Some(message::link(&message)),
            _ => None,
        })
    }

    /// `RTM_GETADDR`: every IPv4 address with the index of its link.
    ///
    /// # Errors
    /// The kernel's refusal, or an answer that is none.
    pub fn addresses(&mut self) -> Result<Table<(u32, KernelAddress)>, NetlinkError> {
        let mut question = AddressMessage::default();
        question.header.family = AddressFamily::Inet;
        self.table(RouteNetlinkMessage::GetAddress(question), "list addresses", |row| match row {
            RouteNetlinkMessage::NewAddress(message) => message::address(&message),
            _ => None,
        })
    }

    /// `RTM_GETROUTE`: the IPv4 routes of the main table.
    ///
    /// # Errors
    /// The kernel's refusal, or an answer that is none.
    pub fn routes(&mut self) -> Result<Table<KernelRoute>, NetlinkError> {
        let mut question = RouteMessage::default();
        question.header.address_family = AddressFamily::Inet;
        self.table(RouteNetlinkMessage::GetRoute(question), "list routes", |row| match row {
            RouteNetlinkMessage::NewRoute(message) => message::route(&message),
            _ => None,
        })
    }

    /// `RTM_GETNEIGH`: every IPv4 neighbour.
    ///
    /// # Errors
    /// The kernel's refusal, or an answer that is none.
    pub fn neighbours(&mut self) -> Result<Table<KernelNeighbour>, NetlinkError> {
        let mut question = NeighbourMessage::default();
        question.header.family = AddressFamily::Inet;
        self.table(RouteNetlinkMessage::GetNeighbour(question), "list neighbours", |row| match row {
            RouteNetlinkMessage::NewNeighbour(message) => message::neighbour(&message),
            _ => None,
        })
    }

    /// Has the kernel resolve `address` on the link of `interface` by ARP, as if it had a packet to send
    /// (`RTM_NEWNEIGH` with `NTF_USE`). What it finds comes as a notice.
    ///
    /// # Errors
    /// The kernel's refusal: no such interface, no permission.
    pub fn resolve(&mut self, interface: u32, address: Ipv4Addr) -> Result<(), NetlinkError> {
        let mut question = NeighbourMessage::default();
        question.header.family = AddressFamily::Inet;
        question.header.ifindex = interface;
        question.header.state = NeighbourState::None;
        question.header.flags = NeighbourFlags::Use;
        question.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet(address)));
        let flags = NLM_F_ACK | NLM_F_CREATE;
        let doing = "have a neighbour resolved";
        self.ask(RouteNetlinkMessage::NewNeighbour(question), flags).map_err(failed(doing))?;
        self.answers(&mut |_| {}).map_err(failed(doing))?;
        Ok(())
    }

    /// Reads one table. Bounded by [`DUMP_ATTEMPTS`].
    fn table<T>(
        &mut self,
        question: RouteNetlinkMessage,
        doing: &'static str,
        row: fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Table<T>, NetlinkError> {
        let mut rows = Vec::new();
        for _ in 0..DUMP_ATTEMPTS {
            rows.clear();
            self.ask(question.clone(), NLM_F_DUMP).map_err(failed(doing))?;
            let pass = self.answers(&mut |message| rows.extend(row(message))).map_err(failed(doing))?;
            match pass {
                Pass::Whole => return Ok(Table { rows, whole: true }),
                Pass::Interrupted => self.interrupted += 1,
            }
        }
        Ok(Table { rows, whole: false })
    }

    fn ask(&mut self, question: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(|_| ())
    }

    /// Reads up to the end of the answer (`NLMSG_DONE`, or `NLMSG_ERROR`, which without an error is the receipt).
    fn answers(&mut self, take: &mut dyn FnMut(RouteNetlinkMessage)) -> io::Result<Pass> {
        let mut pass = Pass::Whole;
        loop {
            let (_, length) = rustix::net::recv(&self.socket, &mut self.buffer[..], RecvFlags::TRUNC)?;
            if length > self.buffer.len() {
                return Err(io::Error::other(format!("a message of {length} bytes is longer than any known")));
            }
            let mut rest = &self.buffer[..length];
            while let Some(part) = next(&mut rest) {
                let Some((header, payload)) = decode(part) else {
                    self.not_understood += 1;
                    continue;
                };
                if header.sequence_number != self.sequence {
                    continue; // the tail of an answer that was given up
                }
                if header.flags & NLM_F_DUMP_INTR != 0 {
                    pass = Pass::Interrupted;
                }
                match payload {
                    NetlinkPayload::InnerMessage(row) => take(row),
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(io::Error::from_raw_os_error(-done.code));
                    }
                    NetlinkPayload::Done(_) => return Ok(pass),
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Error(_) => return Ok(pass),
                    _ => {}
                }
            }
        }
    }
}

/// Cuts the next message off `rest`: four bytes of length come first, and each begins at a multiple of four bytes.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
    let part = rest.get(..length).filter(|part| part.len() >= 16)?;
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some(part)
}

/// None for what the decoder does not know, such as an attribute of a newer kernel with an unknown shape.
pub(super) fn decode(part: &[u8]) -> Option<(NetlinkHeader, NetlinkPayload<RouteNetlinkMessage>)> {
    NetlinkMessage::<RouteNetlinkMessage>::deserialize(part).ok().map(NetlinkMessage::into_parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_ends_at_rubbish_and_never_reads_beyond() {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&17_u32.to_ne_bytes());
        let mut rest = &bytes[..];
        assert_eq!(next(&mut rest).unwrap().len(), 17);
        assert!(rest.is_empty());
        for length in [0_u32, 15, 21, u32::MAX] {
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(next(&mut &bytes[..]), None, "{length}");
        }
        assert_eq!(next(&mut &bytes[..3]), None);
    }
}
