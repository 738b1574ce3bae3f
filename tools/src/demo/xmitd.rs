//! The daemon of one act: configured, started, waited for, asked, stopped.

use std::fs::{self, File};
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use xmitd::api::{Client, Interface, Version};
use xmitd::config::Machine;

use crate::Failure;
use crate::demo::child::Running;
use crate::demo::narrator::until;
use crate::demo::not_shown;
use crate::demo::place::Place;
use crate::namespace;
use crate::wait::Interrupt;

/// How long the daemon, or a program on it, may take to be there.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A daemon that answers.
#[derive(Debug)]
pub struct Xmitd {
    running: Running,
    log: PathBuf,
    /// Where its clients connect.
    pub session: PathBuf,
    /// The operator API.
    pub client: Client,
    /// Who answered.
    pub version: Version,
}

impl Xmitd {
    /// Starts one in the lab's second namespace, with `interface` as the rest of its configuration.
    pub fn start(place: &Place, interface: &str, interrupt: &Interrupt) -> Result<Self, Failure> {
        let (config, log) = (place.file("xmit.toml"), place.file("xmitd.log"));
        let (session, operator) = (place.file("session.sock"), place.file("operator.sock"));
        let core = Machine::here(Vec::new()).cores.last().copied().unwrap_or(0);
        let text = format!(
            "[daemon]\nsession_socket = {session:?}\noperator_socket = {operator:?}\n\
             log = \"warn,xmitd=info,netlink_packet_route=error\"\n[[lane]]\ncore = {core}\n{interface}"
        );
        fs::write(&config, text).map_err(Failure::io("write the daemon's configuration"))?;
        let output = File::create(&log).map_err(Failure::io("make the daemon's log"))?;
        let [_, side] = &place.state.sides;
        let mut command = namespace::program(&side.namespace, program()?);
        command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let mut running = Running::start(&mut command)?;
        let answer = || match running.ended() {
            Some(status) => Err(not_shown(format!("xmitd ended with {status}: {}", last_line(&log)))),
            // Until it listens nobody answers; anything else is told after the limit.
            None => Ok(Client::connect(&operator).and_then(|mut client| Ok((client.version()?, client))).ok()),
        };
        let (version, client) = until(interrupt, START_LIMIT, "an answer of xmitd", answer)?;
        Ok(Self { running, log, session, client, version })
    }

    /// The interfaces, once each has a port: the control thread leaves ports out while a lane is too busy to tell.
    pub fn interfaces(&mut self, interrupt: &Interrupt) -> Result<Vec<Interface>, Failure> {
        until(interrupt, START_LIMIT, "a port of xmitd", || {
            let interfaces = self.client.interfaces()?;
            Ok(interfaces.iter().all(|interface| !interface.ports.is_empty()).then_some(interfaces))
        })
    }

    /// Starts the echo at `address`, a process with sockets in shared memory, and waits until they are bound.
    pub fn start_echo(&mut self, address: SocketAddrV4, interrupt: &Interrupt) -> Result<Running, Failure> {
        let own = std::env::current_exe().map_err(Failure::io("find this program"))?;
        let mut command = std::process::Command::new(own);
        command.arg("demo-echo").arg("--session").arg(&self.session).arg(address.to_string());
        let mut echo = Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
        until(interrupt, START_LIMIT, "the echo's socket", || match echo.ended() {
            Some(status) => Err(not_shown(format!("the echo ended with {status}"))),
            None => Ok(self.client.sockets()?.into_iter().find(|socket| socket.local == address)),
        })?;
        Ok(echo)
    }

    /// Asks it to end; answers what its log says.
    pub fn stop(self) -> Result<String, Failure> {
        let status = self.running.stop();
        if !status.is_some_and(|status| status.success()) {
            return Err(not_shown(format!("xmitd did not end in order: {}", last_line(&self.log))));
        }
        fs::read_to_string(&self.log).map_err(Failure::io("read the daemon's log"))
    }
}

/// `xmitd` beside this program, where the same build put it.
fn program() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(Failure::io("find this program"))?;
    let program = own.with_file_name("xmitd");
    match program.exists() {
        true => Ok(program),
        false => Err(not_shown(format!("{} is not there: build it, `cargo build -p xmitd`", program.display()))),
    }
}

fn last_line(log: &PathBuf) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it said nothing").to_owned()
}
