//! One line of a script after its set-up: what happens, or what must be seen.

use crate::connection;
use crate::errno;
use crate::packet::Pattern;
use crate::setup::PEER;
use crate::stream_act::{StreamAct, fails};
use crate::words::Words;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use xmit_dataplane::hooks::Point;
use xmit_nic::MacAddr;
use xmit_shared::session::{SocketOption, Transport};

/// What happens, or what must be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// `at 1.5s`: since the script began.
    At(Duration),
    /// `after 200ms`.
    After(Duration),
    /// `arrives PACKET`.
    Arrives(Box<Pattern>),
    /// `leaves PACKET`: the next frame that leaves is this.
    Leaves(Box<Pattern>),
    /// `nothing leaves`: nothing has left that was not asked for.
    NothingLeaves,
    /// `peer [ADDRESS] known`: resolution is over, the neighbour is reachable; counters count from here.
    PeerKnown(Ipv4Addr),
    /// `counter NAME = N`, `drop REASON = N`.
    Counter(String, u64),
    /// `neighbour ADDRESS is STATE`; `unknown` if there is no entry.
    NeighbourState(Ipv4Addr, String),
    /// `neighbour ADDRESS is MAC`.
    NeighbourTold(Ipv4Addr, MacAddr),
    /// `neighbour ADDRESS is forgotten`.
    NeighbourForgotten(Ipv4Addr),
    /// `interface NAME goes up|down`.
    InterfaceGoes(String, bool),
    /// `port busy`, `port free`.
    PortBusy(bool),
    /// `carrier lost`, `carrier back`.
    CarrierLost(bool),
    /// `queue packets|drops|requeues|backlog = N`.
    Queue(String, u64),
    /// `hook drop at POINT [protocol N]`.
    HookDrop(Point, Option<u8>),
    /// `hook watch at POINT`.
    HookWatch(Point),
    /// `hook POINT saw N`.
    HookSaw(Point, u64),
    /// `frames conserved`: the stack holds no frame.
    FramesConserved,
    /// A line about a socket.
    Socket(String, SocketAct),
    /// `N times ...`.
    Repeat(u32, Box<Self>),
    /// `connection ...`: what it stands for, and how that is written.
    Lines(Vec<(String, Self)>),
    /// `setting NAME = VALUE`: a sysctl by Linux's name, without `net.ipv4` or `net.core`.
    Setting(String, String),
    /// `state NAME`: of the flow that was spoken of last.
    FlowState(String),
    /// `holds N requests`, `N connections`, `N time-waits`: objects in the tables.
    Holds(u64, String),
}

/// What a program does with a socket, or sees at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SocketAct {
    /// `socket s1 udp|tcp [bind ADDRESS] [fails ERRNO]`.
    Open(Transport, Option<SocketAddrV4>, Option<i32>),
    /// A line about a stream.
    Stream(StreamAct),
    /// `s1 connect ADDRESS [fails ERRNO]`.
    Connect(SocketAddrV4, Option<i32>),
    /// `s1 disconnect`.
    Disconnect,
    /// `s1 send DATA [to ADDRESS]`.
    Send(Vec<u8>, Option<SocketAddrV4>),
    /// `s1 receives DATA [from ADDRESS] [at ADDRESS]`.
    Receives(Vec<u8>, Option<SocketAddrV4>, Option<Ipv4Addr>),
    /// `s1 receives nothing`.
    ReceivesNothing,
    /// `s1 error ERRNO`; `s1 no error`.
    Error(Option<i32>),
    /// `s1 local ADDRESS`.
    Local(SocketAddrV4),
    /// `s1 option ttl|tos|broadcast|priority N [fails ERRNO]`.
    Option(SocketOption, i32, Option<i32>),
    /// `s1 close`.
    Close,
}

impl Statement {
    /// Reads a line. `sockets` are the names that lines before declared.
    pub(crate) fn read(words: &mut Words, sockets: &mut Vec<String>) -> Result<Self, String> {
        if let Some(statement) = Self::read_packets(words, sockets)? {
            return Ok(statement);
        }
        if let Some(statement) = Self::read_state(words)? {
            return Ok(statement);
        }
        if words.take("connection") {
            return Ok(Self::Lines(connection::read(words, sockets)?));
        }
        if words.take("socket") {
            let name = words.bare("a name")?;
            sockets.push(name.clone());
            return Ok(Self::Socket(name, open(words)?));
        }
        match words.peek() {
            Some(name) if sockets.iter().any(|s| s == name) => {
                let name = words.bare("a socket")?;
                if let Some(act) = StreamAct::read(words, sockets)? {
                    return Ok(Self::Socket(name, act));
                }
                Ok(Self::Socket(name, act(words)?))
            }
            _ => Err(format!("a line does not begin with `{}`", words.peek().unwrap_or("text"))),
        }
    }

    fn read_packets(words: &mut Words, sockets: &mut Vec<String>) -> Result<Option<Self>, String> {
        Ok(Some(if words.take("at") {
            Self::At(words.duration()?)
        } else if words.take("after") {
            Self::After(words.duration()?)
        } else if words.take("arrives") {
            Self::Arrives(Box::new(Pattern::read(words)?))
        } else if words.take("leaves") {
            Self::Leaves(Box::new(Pattern::read(words)?))
        } else if words.take("nothing leaves") {
            Self::NothingLeaves
        } else if words.peek().is_some_and(|word| word.parse::<u32>().is_ok()) {
            let count = words.number("a number")?;
            words.expect("times")?;
            Self::Repeat(count, Box::new(Self::read(words, sockets)?))
        } else {
            return Ok(None);
        }))
    }

    fn read_state(words: &mut Words) -> Result<Option<Self>, String> {
        Ok(Some(if words.take("peer known") {
            Self::PeerKnown(PEER)
        } else if words.take("peer") {
            let address = words.value("an address")?;
            words.expect("known")?;
            Self::PeerKnown(address)
        } else if words.take("counter") {
            Self::Counter(words.bare("a counter")?, equals(words)?)
        } else if words.take("drop") {
            Self::Counter(format!("drop.{}", words.bare("a reason")?), equals(words)?)
        } else if words.take("neighbour") {
            neighbour(words)?
        } else if words.take("interface") {
            let name = words.bare("an interface")?;
            let up = words.take("goes up");
            if !up {
                words.expect("goes down")?;
            }
            Self::InterfaceGoes(name, up)
        } else if words.take("port busy") {
            Self::PortBusy(true)
        } else if words.take("port free") {
            Self::PortBusy(false)
        } else if words.take("carrier lost") {
            Self::CarrierLost(true)
        } else if words.take("carrier back") {
            Self::CarrierLost(false)
        } else if words.take("queue") {
            Self::Queue(words.bare("packets, drops, requeues or backlog")?, equals(words)?)
        } else if words.take("hook") {
            hook(words)?
        } else if words.take("frames conserved") {
            Self::FramesConserved
        } else if words.take("state") {
            Self::FlowState(words.bare("a state")?)
        } else if words.take("holds") {
            Self::Holds(words.number("a number")?, words.bare("requests, connections, time-waits or orphans")?)
        } else if words.take("setting") {
            let name = words.bare("a setting")?;
            words.expect("=")?;
            Self::Setting(name, words.rest()?)
        } else {
            return Ok(None);
        }))
    }
}

fn equals(words: &mut Words) -> Result<u64, String> {
    words.expect("=")?;
    words.number("a number")
}

fn neighbour(words: &mut Words) -> Result<Statement, String> {
    let address = words.value("an address")?;
    words.expect("is")?;
    let what = words.bare("a state or a MAC address")?;
    Ok(match what.parse() {
        Ok(mac) => Statement::NeighbourTold(address, mac),
        Err(_) if what == "forgotten" => Statement::NeighbourForgotten(address),
        Err(_) => Statement::NeighbourState(address, what),
    })
}

fn hook(words: &mut Words) -> Result<Statement, String> {
    if words.take("drop at") {
        let point = point(words)?;
        let protocol = if words.take("protocol") { Some(words.number("a protocol")?) } else { None };
        return Ok(Statement::HookDrop(point, protocol));
    }
    if words.take("watch at") {
        return Ok(Statement::HookWatch(point(words)?));
    }
    let point = point(words)?;
    words.expect("saw")?;
    Ok(Statement::HookSaw(point, words.number("a number")?))
}

fn point(words: &mut Words) -> Result<Point, String> {
    let name = words.bare("a hook point")?;
    let found = Point::ALL.iter().find(|point| point.name() == name);
    found.copied().ok_or_else(|| format!("`{name}` is not a hook point"))
}

fn open(words: &mut Words) -> Result<SocketAct, String> {
    let transport = if words.take("tcp") { Transport::Tcp } else { Transport::Udp };
    if transport == Transport::Udp {
        words.expect("udp")?;
    }
    let bind = if words.take("bind") { Some(words.value("an address with a port")?) } else { None };
    Ok(SocketAct::Open(transport, bind, fails(words)?))
}

fn act(words: &mut Words) -> Result<SocketAct, String> {
    if words.take("connect") {
        return Ok(SocketAct::Connect(words.value("an address with a port")?, fails(words)?));
    }
    if words.take("disconnect") {
        return Ok(SocketAct::Disconnect);
    }
    if words.take("send") {
        let data = words.some_data()?;
        let to = if words.take("to") { Some(words.value("an address with a port")?) } else { None };
        return Ok(SocketAct::Send(data, to));
    }
    if words.take("receives nothing") {
        return Ok(SocketAct::ReceivesNothing);
    }
    if words.take("receives") {
        return receives(words);
    }
    if words.take("error") {
        return errno::number(&words.bare("an error number")?).map(|number| SocketAct::Error(Some(number)));
    }
    if words.take("no error") {
        return Ok(SocketAct::Error(None));
    }
    if words.take("local") {
        return Ok(SocketAct::Local(words.value("an address with a port")?));
    }
    if words.take("option") {
        return option(words);
    }
    words.expect("close")?;
    Ok(SocketAct::Close)
}

fn receives(words: &mut Words) -> Result<SocketAct, String> {
    let data = words.some_data()?;
    let from = if words.take("from") { Some(words.value("an address with a port")?) } else { None };
    let at = if words.take("at") { Some(words.value("an address")?) } else { None };
    Ok(SocketAct::Receives(data, from, at))
}

fn option(words: &mut Words) -> Result<SocketAct, String> {
    let option = match words.bare("an option")?.as_str() {
        "ttl" => SocketOption::Ttl,
        "tos" => SocketOption::Tos,
        "broadcast" => SocketOption::Broadcast,
        "priority" => SocketOption::Priority,
        other => return Err(format!("`{other}` is not an option; they are ttl, tos, broadcast, priority")),
    };
    let value: u32 = words.number("a value")?;
    Ok(SocketAct::Option(option, value.cast_signed(), fails(words)?))
}
