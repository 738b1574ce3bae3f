//! The program in a script: its sockets by their names.

use crate::client::Client;
use crate::errno;
use crate::stand::Stand;
use crate::statement::SocketAct;
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_shared::record::Meta;
use xmit_shared::session::{Completion, Op, Transport};

/// The sockets of a script.
pub(crate) struct Sockets {
    pub(crate) client: Client,
    names: Vec<String>,
    /// Local addresses as the last call on each socket told.
    locals: Vec<Option<SocketAddrV4>>,
}

/// A socket call is answered within so many turns: one to take it, one for the control thread, one to finish.
const CALL_TURNS_MAX: usize = 8;

/// The largest UDP payload.
const DATAGRAM_MAX: usize = 65_507;

impl Sockets {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, names: Vec::new(), locals: Vec::new() }
    }

    /// Does, or looks for, what a line says of socket `name`.
    pub(crate) fn act(&mut self, stand: &mut Stand, name: &str, act: &SocketAct) -> Result<(), String> {
        let slot = self.slot(name);
        match act {
            SocketAct::Open(transport, bind, fails) => self.open(stand, slot, *transport, *bind, *fails),
            SocketAct::Stream(act) => self.stream_act(stand, slot, act),
            SocketAct::Connect(to, fails) => self.call_expecting(stand, slot, Op::Connect(*to), *fails),
            SocketAct::Disconnect => self.call_expecting(stand, slot, Op::Disconnect, None),
            SocketAct::Close => self.close(stand, slot),
            SocketAct::Option(option, value, fails) => {
                self.call_expecting(stand, slot, Op::SetOption(*option, *value), *fails)
            }
            SocketAct::Send(data, to) => {
                self.client.send(slot, *to, data).map_err(|error| error.to_string())?;
                stand.settle()
            }
            SocketAct::Receives(data, from, at) => self.receives(stand, slot, data, *from, *at),
            SocketAct::ReceivesNothing => {
                stand.settle()?;
                match self.receive(slot) {
                    Some((meta, data)) => Err(format!("it received {}", describe(&meta, &data))),
                    None => Ok(()),
                }
            }
            SocketAct::Error(wanted) => self.error(stand, slot, *wanted),
            SocketAct::Local(wanted) => match self.locals.get(slot as usize).copied().flatten() {
                Some(local) if local == *wanted => Ok(()),
                local => Err(format!("its local address is {local:?}, not {wanted}")),
            },
        }
    }

    fn slot(&mut self, name: &str) -> u32 {
        let known = self.names.iter().position(|n| n == name);
        let slot = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.locals.push(None);
            self.names.len() - 1
        });
        slot as u32
    }

    /// A slot for a connection to come.
    pub(crate) fn slot_without_name(&mut self) -> u32 {
        self.names.push(String::new());
        self.locals.push(None);
        (self.names.len() - 1) as u32
    }

    /// The socket in `slot` is called `name` from now on.
    pub(crate) fn name(&mut self, slot: u32, name: &str, local: SocketAddrV4) {
        if let Some(place) = self.names.get_mut(slot as usize) {
            name.clone_into(place);
            self.locals[slot as usize] = Some(local);
        }
    }

    fn open(
        &mut self,
        stand: &mut Stand,
        slot: u32,
        transport: Transport,
        bind: Option<SocketAddrV4>,
        fails: Option<i32>,
    ) -> Result<(), String> {
        self.call_expecting(stand, slot, Op::Open(transport), None)?;
        match transport {
            Transport::Udp => self.client.opened(slot),
            Transport::Tcp => self.client.stream_opened(slot),
        }
        match bind {
            Some(address) => self.call_expecting(stand, slot, Op::Bind(address), fails),
            None => Ok(()),
        }
    }

    pub(crate) fn call_expecting(
        &mut self,
        stand: &mut Stand,
        slot: u32,
        op: Op,
        fails: Option<i32>,
    ) -> Result<(), String> {
        let answer = self.call(stand, slot, op)?;
        let outcome = |result: i32| match result {
            ..0 => errno::name(-result),
            _ => "success".to_owned(),
        };
        let wanted = fails.map_or(0, |number: i32| -number);
        if answer.result != wanted {
            return Err(format!("the call ends with {}, not {}", outcome(answer.result), outcome(wanted)));
        }
        if answer.result == 0
            && let Some(local) = self.locals.get_mut(slot as usize)
        {
            *local = Some(answer.addr);
        }
        stand.settle()
    }

    pub(crate) fn call(&mut self, stand: &mut Stand, slot: u32, op: Op) -> Result<Completion, String> {
        let token = self.client.submit(slot, op)?;
        for _ in 0..CALL_TURNS_MAX {
            stand.step();
            let answer = self.client.completion().map_err(|error| error.to_string())?;
            if let Some(answer) = answer.filter(|answer| answer.token == token) {
                return Ok(answer);
            }
        }
        Err("the call was not answered".to_owned())
    }

    /// A stream's close is answered when the peer has everything; nobody waits for that here.
    fn close(&mut self, stand: &mut Stand, slot: u32) -> Result<(), String> {
        self.client.submit(slot, Op::Close)?;
        stand.settle()
    }

    fn receive(&mut self, slot: u32) -> Option<(Meta, Vec<u8>)> {
        let mut data = vec![0; DATAGRAM_MAX];
        let meta = self.client.receive(slot, &mut data)?;
        data.truncate(meta.len as usize);
        Some((meta, data))
    }

    fn receives(
        &mut self,
        stand: &mut Stand,
        slot: u32,
        data: &[u8],
        from: Option<SocketAddrV4>,
        at: Option<Ipv4Addr>,
    ) -> Result<(), String> {
        stand.settle()?;
        let (meta, received) = self.receive(slot).ok_or("it received nothing")?;
        let same =
            received == data && from.is_none_or(|from| from == meta.peer) && at.is_none_or(|at| at == meta.local);
        if same { Ok(()) } else { Err(format!("it received {}", describe(&meta, &received))) }
    }

    fn error(&mut self, stand: &mut Stand, slot: u32, wanted: Option<i32>) -> Result<(), String> {
        stand.settle()?;
        let is = self.client.take_error(slot);
        let name = |error: Option<i32>| error.map_or_else(|| "no error".to_owned(), errno::name);
        if is == wanted { Ok(()) } else { Err(format!("it has {}, not {}", name(is), name(wanted))) }
    }
}

fn describe(meta: &Meta, data: &[u8]) -> String {
    let shown = &data[..data.len().min(48)];
    format!("\"{}\" ({} bytes) from {} at {}", shown.escape_ascii(), data.len(), meta.peer, meta.local)
}
