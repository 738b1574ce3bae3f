//! What a program does with a stream socket, or sees at it.

use crate::errno;
use crate::info::{Wanted, field};
use crate::sockets::Sockets;
use crate::stand::Stand;
use crate::statement::SocketAct;
use crate::words::{Words, filler_at};
use std::net::SocketAddrV4;
use xmit_shared::session::{CongestionName, How, Op, SocketOption, StreamEvents, StreamFlags};

/// A line about a stream socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamAct {
    /// `s1 listen N [granting M] [fails ERRNO]`: connections are taken into M slots, 4 unless said.
    Listen(u32, u32, Option<i32>),
    /// `s1 accepts c1 [from ADDRESS]`; `s1 accepts nothing`.
    Accepts(Option<String>, Option<SocketAddrV4>),
    /// `s1 write DATA [more|record] [takes N]`, all of it unless said; `s1 write urgent DATA`.
    Write(Vec<u8>, Written, Option<usize>),
    /// `s1 reads DATA`: the next bytes are these.
    Reads(Vec<u8>),
    /// `s1 reads N bytes`: the next bytes are so many of those that `N bytes` of a packet stands for.
    ReadsFiller(usize),
    /// `s1 reads nothing`: nothing is there, and more may come.
    ReadsNothing,
    /// `s1 reads end`: nothing more comes.
    ReadsEnd,
    /// `s1 urgent at N`: bytes before the last urgent one; behind it if negative. `s1 no urgent`.
    Urgent(Option<i32>),
    /// `s1 shutdown read|write|both [fails ERRNO]`.
    Shutdown(How, Option<i32>),
    /// `s1 is connected`, `s1 is not connected`, `s1 is closed`.
    Is(StreamEvents, bool),
    /// `s1 info FIELD = N`, `> N`, `< N`: a field of `TCP_INFO`.
    Info(String, Wanted),
    /// `s1 option NAME is N`: what `getsockopt` tells.
    OptionIs(SocketOption, i32),
    /// `s1 nodelay on|off`, `s1 cork on|off`.
    Flags(StreamFlags, bool),
    /// `s1 max pacing rate N`: `SO_MAX_PACING_RATE`, bytes a second.
    MaxPacingRate(u64),
    /// `s1 queued N unsent M`: bytes not acknowledged, and those never sent.
    Queued(u32, u32),
}

/// How data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// To be sent.
    Now,
    /// More follows (`MSG_MORE`).
    More,
    /// It is the end of a record (`MSG_EOR`).
    Record,
    /// Its last byte is urgent (`MSG_OOB`).
    Urgent,
}

/// The options of stream sockets by the names that scripts use.
const OPTIONS: &[(&str, SocketOption)] = &[
    ("congestion", SocketOption::Congestion),
    ("keepalive", SocketOption::KeepAlive),
    ("keepidle", SocketOption::KeepIdle),
    ("keepinterval", SocketOption::KeepInterval),
    ("keepcount", SocketOption::KeepCount),
    ("user-timeout", SocketOption::UserTimeout),
    ("linger", SocketOption::Linger),
    ("linger2", SocketOption::Linger2),
    ("rto-max", SocketOption::RtoMax),
    ("maxseg", SocketOption::MaxSegment),
    ("quickack", SocketOption::QuickAck),
    ("defer-accept", SocketOption::DeferAccept),
    ("fastopen", SocketOption::FastOpen),
    ("fastopen-connect", SocketOption::FastOpenConnect),
    ("notsent-lowat", SocketOption::NotSentLowat),
    ("send-buffer", SocketOption::SendBuffer),
    ("receive-buffer", SocketOption::ReceiveBuffer),
    ("syn-count", SocketOption::SynCount),
    ("window-clamp", SocketOption::WindowClamp),
    ("reuse-address", SocketOption::ReuseAddr),
    ("reuse-port", SocketOption::ReusePort),
];

/// Reads `option NAME VALUE`, `option NAME is VALUE` of a stream, if it comes next.
fn option(words: &mut Words) -> Result<Option<SocketAct>, String> {
    let mut ahead = words.clone();
    if !ahead.take("option") {
        return Ok(None);
    }
    let Some((_, option)) = OPTIONS.iter().find(|(name, _)| ahead.take(name)) else { return Ok(None) };
    *words = ahead;
    let is = words.take("is");
    let value = match option {
        SocketOption::Congestion => congestion(&words.bare("cubic, reno, dctcp")?)?,
        _ if words.take("off") => -1,
        _ => words.number::<u32>("a value")?.cast_signed(),
    };
    Ok(Some(if is {
        SocketAct::Stream(StreamAct::OptionIs(*option, value))
    } else {
        SocketAct::Option(*option, value, fails(words)?)
    }))
}

fn congestion(name: &str) -> Result<i32, String> {
    let known = CongestionName::named(name).ok_or_else(|| format!("`{name}` is no congestion control"))?;
    Ok(known.number())
}

pub(crate) fn fails(words: &mut Words) -> Result<Option<i32>, String> {
    if words.take("fails") { errno::number(&words.bare("an error number")?).map(Some) } else { Ok(None) }
}

impl StreamAct {
    /// Reads a line about a stream socket, if it is one.
    pub(crate) fn read(words: &mut Words, sockets: &mut Vec<String>) -> Result<Option<SocketAct>, String> {
        if let Some(act) = option(words)? {
            return Ok(Some(act));
        }
        Ok(Self::read_act(words, sockets)?.map(SocketAct::Stream))
    }

    fn read_act(words: &mut Words, sockets: &mut Vec<String>) -> Result<Option<Self>, String> {
        Ok(Some(if words.take("listen") {
            let backlog = words.number("a backlog")?;
            let grants = if words.take("granting") { words.number("a number of slots")? } else { 4 };
            Self::Listen(backlog, grants, fails(words)?)
        } else if words.take("accepts nothing") {
            Self::Accepts(None, None)
        } else if words.take("accepts") {
            let name = words.bare("a name")?;
            sockets.push(name.clone());
            let from = if words.take("from") { Some(words.value("an address with a port")?) } else { None };
            Self::Accepts(Some(name), from)
        } else if words.take("write urgent") {
            Self::Write(words.some_data()?, Written::Urgent, None)
        } else if words.take("write") {
            let data = words.some_data()?;
            let how = match (words.take("more"), words.take("record")) {
                (true, _) => Written::More,
                (_, true) => Written::Record,
                _ => Written::Now,
            };
            let takes = if words.take("takes") { Some(words.number("a number of bytes")?) } else { None };
            Self::Write(data, how, takes)
        } else if words.take("reads nothing") {
            Self::ReadsNothing
        } else if words.take("reads end") {
            Self::ReadsEnd
        } else if words.take("reads") {
            let is_filler = words.peek().is_some_and(|word| word.parse::<u64>().is_ok());
            let data = words.some_data()?;
            if is_filler { Self::ReadsFiller(data.len()) } else { Self::Reads(data) }
        } else if words.take("urgent at") {
            Self::Urgent(Some(words.bare("a distance")?.parse().map_err(|_| "a distance is a number")?))
        } else if words.take("no urgent") {
            Self::Urgent(None)
        } else if words.take("shutdown") {
            let how = match words.bare("read, write or both")?.as_str() {
                "read" => How::Read,
                "write" => How::Write,
                "both" => How::Both,
                other => return Err(format!("`{other}` is not read, write or both")),
            };
            Self::Shutdown(how, fails(words)?)
        } else {
            return Self::read_state(words);
        }))
    }

    fn read_state(words: &mut Words) -> Result<Option<Self>, String> {
        Ok(Some(if words.take("is connected") {
            Self::Is(StreamEvents::CONNECTED, true)
        } else if words.take("is not connected") {
            Self::Is(StreamEvents::CONNECTED, false)
        } else if words.take("is closed") {
            Self::Is(StreamEvents::CLOSED, true)
        } else if words.take("is not closed") {
            Self::Is(StreamEvents::CLOSED, false)
        } else if words.take("info") {
            Self::Info(words.bare("a field of TCP_INFO")?, Wanted::read(words)?)
        } else if words.take("nodelay on") {
            Self::Flags(StreamFlags::NODELAY, true)
        } else if words.take("nodelay off") {
            Self::Flags(StreamFlags(0), false)
        } else if words.take("cork on") {
            Self::Flags(StreamFlags::CORK, false)
        } else if words.take("cork off") {
            Self::Flags(StreamFlags(0), true)
        } else if words.take("max pacing rate") {
            Self::MaxPacingRate(words.number("bytes a second")?)
        } else if words.take("queued") {
            let all = words.number("a number of bytes")?;
            words.expect("unsent")?;
            Self::Queued(all, words.number("a number of bytes")?)
        } else {
            return Ok(None);
        }))
    }
}

impl Sockets {
    /// Does, or looks for, what a line says of the stream in `slot`.
    pub(crate) fn stream_act(&mut self, stand: &mut Stand, slot: u32, act: &StreamAct) -> Result<(), String> {
        match act {
            StreamAct::Listen(backlog, grants, fails) => self.listen(stand, slot, *backlog, *grants, *fails),
            StreamAct::Accepts(name, from) => self.accepts(stand, slot, name.as_deref(), *from),
            StreamAct::Write(data, how, takes) => self.write(stand, slot, data, *how, takes.unwrap_or(data.len())),
            StreamAct::Reads(data) => self.reads(stand, slot, data),
            StreamAct::ReadsFiller(len) => self.reads_filler(stand, slot, *len),
            StreamAct::ReadsNothing => self.reads_nothing(stand, slot, false),
            StreamAct::ReadsEnd => self.reads_nothing(stand, slot, true),
            StreamAct::Shutdown(how, fails) => self.call_expecting(stand, slot, Op::Shutdown(*how), *fails),
            StreamAct::MaxPacingRate(rate) => self.call_expecting(stand, slot, Op::SetPacing(*rate), None),
            StreamAct::Flags(flags, push) => {
                self.client.set_flags(slot, *flags, *push);
                stand.settle()
            }
            _ => {
                stand.settle()?;
                self.look_at_stream(stand, slot, act)
            }
        }
    }

    fn look_at_stream(&mut self, stand: &mut Stand, slot: u32, act: &StreamAct) -> Result<(), String> {
        match act {
            StreamAct::Urgent(wanted) => {
                let (count, at) = self.client.urgent(slot);
                let is = (count > 0).then_some(at);
                if is == *wanted { Ok(()) } else { Err(format!("the urgent byte is at {is:?}")) }
            }
            StreamAct::Is(event, wanted) => {
                let events = self.client.events(slot);
                if events.contains(*event) == *wanted { Ok(()) } else { Err(format!("it is {events:?}")) }
            }
            StreamAct::Queued(all, unsent) => {
                let is = self.client.outstanding(slot).map_err(|rubbish| rubbish.to_string())?;
                if is == (*all, *unsent) { Ok(()) } else { Err(format!("{} are queued, {} unsent", is.0, is.1)) }
            }
            StreamAct::Info(name, wanted) => {
                self.call_expecting(stand, slot, Op::Info, None)?;
                let info = self.client.info(slot).ok_or("there is no TCP_INFO")?;
                wanted.check(name, field(&info, name)?)
            }
            StreamAct::OptionIs(option, wanted) => {
                let is = self.call(stand, slot, Op::GetOption(*option))?;
                let same = is.result == 0 && is.value == *wanted;
                if same { Ok(()) } else { Err(format!("it is {}, and the call's result {}", is.value, is.result)) }
            }
            other => Err(format!("{other:?} is nothing to look at")),
        }
    }

    fn listen(
        &mut self,
        stand: &mut Stand,
        slot: u32,
        backlog: u32,
        grants: u32,
        fails: Option<i32>,
    ) -> Result<(), String> {
        self.call_expecting(stand, slot, Op::Listen(backlog), fails)?;
        if fails.is_some() {
            return Ok(());
        }
        for _ in 0..grants {
            let granted = self.slot_without_name();
            self.call_expecting(stand, slot, Op::Grant(granted), None)?;
        }
        Ok(())
    }

    fn accepts(
        &mut self,
        stand: &mut Stand,
        slot: u32,
        name: Option<&str>,
        from: Option<SocketAddrV4>,
    ) -> Result<(), String> {
        stand.settle()?;
        let accepted = self.client.accept(slot).map_err(|rubbish| rubbish.to_string())?;
        match (name, accepted) {
            (None, None) => Ok(()),
            (None, Some(accepted)) => Err(format!("there is a connection from {}", accepted.peer)),
            (Some(_), None) => Err("there is no connection to accept".to_owned()),
            (Some(_), Some(accepted)) if from.is_some_and(|from| from != accepted.peer) => {
                Err(format!("the connection is from {}", accepted.peer))
            }
            (Some(name), Some(accepted)) => {
                self.name(accepted.slot, name, accepted.local);
                let granted = self.slot_without_name();
                self.call_expecting(stand, slot, Op::Grant(granted), None)
            }
        }
    }

    fn write(&mut self, stand: &mut Stand, slot: u32, data: &[u8], how: Written, takes: usize) -> Result<(), String> {
        let written = match how {
            Written::Now => self.client.write(slot, data, false),
            Written::More => self.client.write(slot, data, true),
            Written::Record => self.client.write_record(slot, data),
            Written::Urgent => self.client.write_urgent(slot, data),
        };
        let written = written.map_err(|rubbish| rubbish.to_string())?;
        if written != takes {
            return Err(format!("{written} of {} bytes have room", data.len()));
        }
        stand.settle()
    }

    fn reads(&mut self, stand: &mut Stand, slot: u32, wanted: &[u8]) -> Result<(), String> {
        stand.settle()?;
        let mut is = vec![0; wanted.len()];
        let len = self.client.read(slot, &mut is).map_err(|rubbish| rubbish.to_string())?;
        is.truncate(len);
        if is != wanted {
            let shown = &is[..len.min(48)];
            return Err(format!("it reads \"{}\" ({len} bytes)", shown.escape_ascii()));
        }
        stand.settle()
    }

    fn reads_filler(&mut self, stand: &mut Stand, slot: u32, wanted: usize) -> Result<(), String> {
        stand.settle()?;
        let mut is = vec![0; wanted];
        let len = self.client.read(slot, &mut is).map_err(|rubbish| rubbish.to_string())?;
        if len < wanted {
            return Err(format!("it reads {len} bytes"));
        }
        let start = is.first().copied().unwrap_or(0);
        if is != filler_at(start.into(), wanted as u64) {
            return Err("the bytes are not in the order in which they stand in the stream".to_owned());
        }
        stand.settle()
    }

    fn reads_nothing(&mut self, stand: &mut Stand, slot: u32, ended: bool) -> Result<(), String> {
        stand.settle()?;
        let is_ended = self.client.events(slot).contains(StreamEvents::RECEIVE_END);
        let mut byte = [0; 64];
        match self.client.read(slot, &mut byte).map_err(|rubbish| rubbish.to_string())? {
            0 if is_ended == ended => Ok(()),
            0 if is_ended => Err("the stream has ended".to_owned()),
            0 => Err("the stream has not ended".to_owned()),
            len => Err(format!("it reads \"{}\"", byte[..len].escape_ascii())),
        }
    }
}
