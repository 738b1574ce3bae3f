//! One echo under test: its namespaces, its link, its programs.
//!
//! Each contender has a veth pair of its own between two namespaces of its own, so that what xmitd attaches to an interface does not
//! slow the kernel's echo down; all offloads are off on both ends for all. While others are measured its programs
//! are stopped (SIGSTOP), so that none spins meanwhile. Everything is removed when the value is dropped.

use crate::cpu::Usage;
use crate::outcome::{Outcome, Unit};
use crate::variant::{Kind, Variant};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use xmit_netns::{Netns, NetnsError, Process, VethOptions, veth};

/// The port that every echo listens on.
pub const ECHO_PORT: u16 = 7;
/// Addresses that every echo has, one after the other: ports of the client that wait in TIME_WAIT towards one are free towards another.
pub const ADDRESSES: u8 = 8;
/// The interface names inside the namespaces.
const NEAR: &str = "near";
const FAR: &str = "far";

/// Why a contender cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum ContenderError {
    /// The network or a program could not be arranged.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A file or pipe of ours.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A program ended before it was ready.
    #[error("{program} did not start; it said: {said}")]
    NotReady {
        /// Which.
        program: String,
        /// Its last words.
        said: String,
    },
    /// The load's answer could not be read.
    #[error("the load said {said:?}: {source}")]
    Garbled {
        /// What it said.
        said: String,
        /// Why that is no outcome.
        source: serde_json::Error,
    },
}

/// What one round showed.
#[derive(Clone, Debug)]
pub struct Round {
    /// What the client saw.
    pub outcome: Outcome,
    /// CPU time of cores and programs, warm-up included.
    pub usage: Usage,
}

/// One echo under test.
#[derive(Debug)]
pub struct Contender {
    /// How it is made.
    pub variant: Variant,
    /// The network, without its last number and point.
    net: String,
    configuration: &'static str,
    // Dropped in this order: programs, then the namespaces they run in.
    programs: Vec<(&'static str, Process)>,
    near: Netns,
    _far: Netns,
    directory: PathBuf,
}

/// One load as the report names it and as the load program's command line says it.
#[derive(Clone, Debug)]
pub struct Load {
    /// Its name in the report.
    pub name: String,
    /// What it counts.
    pub unit: Unit,
    /// Arguments of the program's role `load`, beside where to and how long.
    pub arguments: Vec<String>,
}

/// What makes the kernel's client able to open connections fast: many ports, used again after a second, and no limit of those that wait.
const CLIENT_LIMITS: [(&str, &str); 3] =
    [("ip_local_port_range", "1024 65535"), ("tcp_tw_reuse", "1"), ("tcp_max_tw_buckets", "1000000")];

impl Contender {
    /// Raises the network and starts the programs of contender `number`; returns when the echo answers calls. `configuration` is what
    /// the daemon's file says beside the network.
    ///
    /// # Errors
    /// [`ContenderError`].
    pub fn start(variant: Variant, number: usize, configuration: &'static str) -> Result<Self, ContenderError> {
        let (near, far) = (Netns::new("bench")?, Netns::new("bench")?);
        veth(&near, NEAR, &far, FAR, VethOptions::default())?;
        for (netns, name) in [(&near, NEAR), (&far, FAR)] {
            netns.command(&format!("ethtool -K {name} tso off gso off gro off"))?;
        }
        set_limits(&near)?;
        if let Some(core) = variant.rps_core {
            receive_on(&near, core).map_err(|source| io_error("giving the client's reception to a core", source))?;
        }
        let net = format!("10.78.{number}");
        near.command(&format!("ip addr add {net}.1/24 dev {NEAR}"))?;
        let directory = std::env::temp_dir().join(format!("xmit-bench-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).map_err(|source| io_error("making a directory", source))?;
        let mut contender = Self { variant, net, configuration, programs: Vec::new(), near, _far: far, directory };
        match contender.variant.kind {
            Kind::Kernel { .. } => contender.start_kernel_echo()?,
            Kind::Xmitd => contender.start_xmitd()?,
        }
        contender.signal(Signal::STOP);
        Ok(contender)
    }

    fn start_kernel_echo(&mut self) -> Result<(), ContenderError> {
        let batch = match self.variant.kind {
            Kind::Kernel { batch } => batch,
            Kind::Xmitd => 1,
        };
        for address in self.addresses() {
            self._far.command(&format!("ip addr add {address} dev {FAR}"))?;
        }
        let mut arguments = vec!["kernel-echo".into(), "--port".into(), ECHO_PORT.to_string()];
        if batch > 1 {
            arguments.extend(["--batch".into(), batch.to_string()]);
        }
        self.start_program("echo", self.variant.program(), &arguments, self.variant.echo_core, false)
    }

    fn start_xmitd(&mut self) -> Result<(), ContenderError> {
        let (config, socket) = (self.directory.join("xmit.toml"), self.directory.join("session.sock"));
        fs::write(&config, self.configuration()).map_err(|source| io_error("writing the configuration", source))?;
        let arguments = ["--config".into(), config.display().to_string()];
        self.start_program("xmitd", self.variant.xmitd(), &arguments, None, true)?;
        let socket = socket.display().to_string();
        let mut arguments = vec!["xmit-echo".into(), "--port".into(), ECHO_PORT.to_string(), "--socket".into(), socket];
        if let Some(spin) = self.variant.echo_spin {
            arguments.extend(["--spin-us".into(), spin.as_micros().to_string()]);
        }
        self.start_program("echo", self.variant.program(), &arguments, self.variant.echo_core, false)
    }

    /// The echo's, with their prefix.
    fn addresses(&self) -> impl Iterator<Item = String> {
        (2..2 + ADDRESSES).map(|last| format!("{}.{last}/24", self.net))
    }

    fn configuration(&self) -> String {
        let addresses: Vec<_> = self.addresses().map(|address| format!("\"{address}\"")).collect();
        let at = |name| self.directory.join(name).display().to_string();
        format!(
            "[daemon]\nsession_socket = \"{}\"\noperator_socket = \"{}\"\n\n[[lane]]\ncore = {}\nspin = \"{}us\"\n{}\n\
             [[interface]]\nname = \"{FAR}\"\naddresses = [{}]\n\n{}\n",
            at("session.sock"),
            at("operator.sock"),
            self.variant.lane_core,
            self.variant.lane_spin.as_micros(),
            self.variant.lane_more,
            addresses.join(", "),
            self.configuration,
        )
    }

    /// Starts a program in the far namespace, on one core if asked, and waits until it says that it is ready.
    fn start_program(
        &mut self,
        name: &'static str,
        program: PathBuf,
        arguments: &[String],
        core: Option<u32>,
        stderr: bool,
    ) -> Result<(), ContenderError> {
        let mut command = in_namespace(&self._far, core);
        command.arg(&program).args(arguments).stdin(Stdio::null());
        match stderr {
            true => command.stderr(Stdio::piped()),
            false => command.stdout(Stdio::piped()),
        };
        let mut process = Process::start(command)?;
        let child = process.child();
        let pipe: Option<Box<dyn Read + Send>> = match stderr {
            true => child.stderr.take().map(|pipe| Box::new(pipe) as _),
            false => child.stdout.take().map(|pipe| Box::new(pipe) as _),
        };
        let ready = pipe.map_or(Err(String::new()), until_ready);
        self.programs.insert(0, (name, process)); // later ones are dropped first
        ready.map_err(|said| ContenderError::NotReady { program: program.display().to_string(), said })
    }

    /// Runs the load once against the echo.
    ///
    /// # Errors
    /// [`ContenderError`].
    pub fn round(&mut self, load: &Load, seconds: f64) -> Result<Round, ContenderError> {
        self.signal(Signal::CONT);
        let before = self.usage();
        let outcome = self.load(load, seconds);
        let usage = self.usage().since(&before);
        self.signal(Signal::STOP);
        Ok(Round { outcome: outcome?, usage })
    }

    fn load(&self, load: &Load, seconds: f64) -> Result<Outcome, ContenderError> {
        let mut command = in_namespace(&self.near, self.variant.load_core);
        command.arg(this_program()).arg("load");
        command.args(["--to", &format!("{}.2:{ECHO_PORT}", self.net), "--seconds", &seconds.to_string()]);
        command.args(&load.arguments);
        let output =
            command.stderr(Stdio::inherit()).output().map_err(|source| io_error("running the load", source))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&said).map_err(|source| ContenderError::Garbled { said, source })
    }

    fn usage(&mut self) -> Usage {
        let ids: Vec<_> = self.programs.iter_mut().map(|(name, process)| (*name, process.child().id())).collect();
        Usage::now(&ids)
    }

    fn signal(&mut self, signal: Signal) {
        for (_, process) in &mut self.programs {
            if let Some(pid) = i32::try_from(process.child().id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, signal); // one that has ended shows in the next round
            }
        }
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // The daemon detaches what it attached only if it may end by itself.
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        self.programs.clear();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn set_limits(client: &Netns) -> Result<(), ContenderError> {
    let written = client.run(|| {
        CLIENT_LIMITS.iter().try_for_each(|(name, value)| fs::write(format!("/proc/sys/net/ipv4/{name}"), value))
    })?;
    written.map_err(|source| io_error("widening the client's limits", source))
}

/// Has `core` take what arrives at the client: written where `/sys` shows the namespace's interfaces.
fn receive_on(client: &Netns, core: u32) -> std::io::Result<()> {
    let write = format!("echo {:x} > /sys/class/net/{NEAR}/queues/rx-0/rps_cpus", 1u64 << core.min(63));
    let status = client.program("sh").args(["-c", &write]).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("`{write}` failed"))) }
}

/// A command line that runs what follows in `netns`, on `core` if there is one, and not longer than this process.
fn in_namespace(netns: &Netns, core: Option<u32>) -> Command {
    let mut command = netns.program("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(core) = core {
        command.args(["taskset", "--cpu-list", &core.to_string()]);
    }
    command
}

/// Reads lines until one says "ready", and the rest on a thread, so that the program is never stopped by a full pipe. What
/// it said, if it ended before.
fn until_ready(pipe: Box<dyn Read + Send>) -> Result<(), String> {
    let mut lines = BufReader::new(pipe).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in lines.by_ref() {
        if line.contains("ready") {
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(());
        }
        said.push(line);
    }
    Err(said.join("; "))
}

/// The running program, which plays the load and the echoes as well.
pub fn this_program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "udp_echo".into())
}

fn io_error(what: &str, source: std::io::Error) -> ContenderError {
    ContenderError::Io { what: what.into(), source }
}
