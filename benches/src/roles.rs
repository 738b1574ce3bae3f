//! The command line that the echo benchmarks share: without a role a program compares, in a role it is one side of what is compared.
//!
//! Which arguments a load takes beside these is the benchmark's: `L`. `contender` starts the program in its roles.

use crate::comparison::WARM_UP;
use crate::outcome::Outcome;
use clap::{Args, Subcommand};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What the program plays in its own comparison.
#[derive(Debug, Subcommand)]
pub enum Role<L: Args> {
    /// The client (used by the benchmark itself).
    #[command(hide = true)]
    Load(Load<L>),
    /// The server on kernel sockets (used by the benchmark itself).
    #[command(hide = true)]
    KernelEcho(KernelEcho),
    /// The server on sockets of xmitd (used by the benchmark itself).
    #[command(hide = true)]
    XmitEcho(XmitEcho),
}

/// The client.
#[derive(Args, Debug)]
// clap names an argument group after its struct, and what is flattened into this one may be called `Load` too.
#[group(skip)]
pub struct Load<L: Args> {
    #[arg(long)]
    to: SocketAddr,
    #[command(flatten)]
    what: L,
    #[arg(long)]
    seconds: f64,
}

/// The server on kernel sockets.
#[derive(Args, Clone, Copy, Debug)]
pub struct KernelEcho {
    /// Its port.
    #[arg(long)]
    pub port: u16,
    /// Datagrams of one system call.
    #[arg(long, default_value_t = 1)]
    pub batch: usize,
}

/// The server on sockets of xmitd.
#[derive(Args, Clone, Debug)]
pub struct XmitEcho {
    /// Its port.
    #[arg(long)]
    pub port: u16,
    #[arg(long)]
    socket: PathBuf,
    #[arg(long)]
    spin_us: Option<u64>,
}

/// What a load is asked for, whatever it does.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    /// The echo.
    pub to: SocketAddr,
    /// Unmeasured beginning.
    pub warm_up: Duration,
    /// What is measured.
    pub duration: Duration,
}

impl<L: Args> Load<L> {
    /// Runs the load, and prints its outcome for the comparison to read.
    ///
    /// # Errors
    /// The load's.
    pub fn run(&self, load: impl FnOnce(&L, Measurement) -> io::Result<Outcome>) -> Result<(), Box<dyn Error>> {
        let duration = Duration::try_from_secs_f64(self.seconds)?;
        let outcome = load(&self.what, Measurement { to: self.to, warm_up: WARM_UP, duration })?;
        println!("{}", serde_json::to_string(&outcome)?);
        Ok(())
    }
}

impl XmitEcho {
    /// The session that the server's sockets belong to.
    ///
    /// # Errors
    /// The daemon's refusal.
    pub fn session(&self) -> Result<xmit::Session, Box<dyn Error>> {
        let session = xmit::Session::connect(&self.socket)?;
        if let Some(micros) = self.spin_us {
            session.set_spin(Duration::from_micros(micros));
        }
        Ok(session)
    }
}

/// A server can be asked: the word that the comparison waits for.
pub fn ready() {
    println!("ready");
}

/// How `program` ends; it says why if it failed.
pub fn exit(program: &str, outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}
