//! `connection c1 accepted ...`, `connection c1 opened ...`: the handshake in one line, for scripts that are about
//! what comes after it. It stands for the lines that a script would write for it, and fails as they would.

use crate::statement::Statement;
use crate::words::Words;
use std::net::SocketAddrV4;

/// Our side of connections that peers open, unless a script has made `listener` itself.
const LISTENER: &str = "10.0.0.2:7";
/// Our side of connections that we open, unless a script has bound the socket itself.
const OPENER: &str = "10.0.0.2:1000";

/// A handshake as a line describes it.
struct Handshake {
    name: String,
    peer: SocketAddrV4,
    local: SocketAddrV4,
    mss: u16,
    sack: bool,
    timestamps: bool,
    scale: Option<u8>,
    ecn: bool,
    window: u16,
    rtt: Option<String>,
}

/// Reads what follows the word `connection`; answers the lines that it stands for.
pub(crate) fn read(words: &mut Words, sockets: &mut Vec<String>) -> Result<Vec<(String, Statement)>, String> {
    let name = words.bare("a name")?;
    let active = words.take("opened");
    if !active {
        words.expect("accepted")?;
    }
    let handshake = Handshake::read(name, active, words)?;
    let lines = if active { handshake.opened(sockets) } else { handshake.accepted(sockets) };
    let mut statements = Vec::with_capacity(lines.len());
    for line in lines {
        let mut words = Words::split(&line)?;
        let statement = Statement::read(&mut words, sockets)?;
        words.end()?;
        statements.push((line, statement));
    }
    Ok(statements)
}

impl Handshake {
    fn read(name: String, active: bool, words: &mut Words) -> Result<Self, String> {
        let mut it = Self {
            name,
            peer: parsed(if active { "10.0.0.1:7" } else { "10.0.0.1:1000" })?,
            local: parsed(if active { OPENER } else { LISTENER })?,
            mss: 1460,
            sack: false,
            timestamps: false,
            scale: None,
            ecn: false,
            window: u16::MAX,
            rtt: None,
        };
        while !words.is_empty() {
            it.word(words)?;
        }
        Ok(it)
    }

    fn word(&mut self, words: &mut Words) -> Result<(), String> {
        if words.take("from") || words.take("to") {
            self.peer = words.value("an address with a port")?;
        } else if words.take("at") {
            self.local = words.value("an address with a port")?;
        } else if words.take("mss") {
            self.mss = words.number("a segment size")?;
        } else if words.take("sack") {
            self.sack = true;
        } else if words.take("timestamps") {
            self.timestamps = true;
        } else if words.take("scale") {
            self.scale = Some(words.number("a window scale")?);
        } else if words.take("ecn") {
            self.ecn = true;
        } else if words.take("win") {
            self.window = words.number("a window")?;
        } else if words.take("rtt") {
            self.rtt = Some(words.bare("a time")?);
        } else {
            return words.end();
        }
        Ok(())
    }

    /// A peer opens it, and the program accepts it.
    fn accepted(&self, sockets: &[String]) -> Vec<String> {
        let Self { name, peer, local, window, .. } = self;
        let mut lines = Vec::new();
        if !sockets.iter().any(|s| s == "listener") {
            lines.push(format!("socket listener tcp bind {local}"));
            lines.push("listener listen 16".to_owned());
        }
        let (ours, theirs) = if self.ecn { ("SE.", "SEW") } else { ("S.", "S") };
        lines.push(format!("arrives tcp {peer} > {local} {theirs} 0:0(0) win {window} {}", self.options(0)));
        lines.push(format!("leaves tcp {ours} 0:0(0) ack 1"));
        lines.extend(self.rtt.iter().map(|time| format!("after {time}")));
        lines.push(format!("arrives tcp . 1:1(0) ack 1 win {} {}", self.scaled(), self.plain_options()));
        lines.push(format!("listener accepts {name} from {peer}"));
        lines
    }

    /// The program opens it, and the peer accepts it.
    fn opened(&self, sockets: &[String]) -> Vec<String> {
        let Self { name, peer, local, window, .. } = self;
        let mut lines = Vec::new();
        if !sockets.iter().any(|s| s == name) {
            lines.push(format!("socket {name} tcp bind {local}"));
        }
        let (ours, theirs) = if self.ecn { ("SEW", "SE.") } else { ("S", "S.") };
        lines.push(format!("{name} connect {peer}"));
        lines.push(format!("leaves tcp {local} > {peer} {ours} 0:0(0)"));
        lines.extend(self.rtt.iter().map(|time| format!("after {time}")));
        lines.push(format!("arrives tcp {theirs} 0:0(0) ack 1 win {window} {}", self.options(100)));
        lines.push("leaves tcp . 1:1(0) ack 1".to_owned());
        lines.push(format!("{name} is connected"));
        lines
    }

    /// The window behind the handshake: about the same number of bytes.
    fn scaled(&self) -> u16 {
        self.window >> self.scale.unwrap_or(0).min(14)
    }

    /// The peer's options of the handshake; its clock and ours show 100.
    fn options(&self, echo: u32) -> String {
        let mut options = vec![format!("mss {}", self.mss)];
        match (self.sack, self.timestamps) {
            (true, true) => options.push(format!("sackOK,TS val 100 ecr {echo}")),
            (true, false) => options.push("nop,nop,sackOK".to_owned()),
            (false, true) => options.push(format!("nop,nop,TS val 100 ecr {echo}")),
            (false, false) => {}
        }
        options.extend(self.scale.map(|scale| format!("nop,wscale {scale}")));
        format!("<{}>", options.join(","))
    }

    fn plain_options(&self) -> &'static str {
        if self.timestamps { "<nop,nop,TS val 100 ecr 100>" } else { "" }
    }
}

fn parsed(address: &str) -> Result<SocketAddrV4, String> {
    address.parse().map_err(|_| format!("`{address}` is not an address with a port"))
}
