//! The command line: what can be asked, and which part answers.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use xmitd::api::{Client, OPERATOR_SOCKET};

use crate::impair::args::ImpairArgs;
use crate::lab::Lab;
use crate::view::{Show, stat::StatOptions};
use crate::{Failure, capture, demo, doctor, impair, view};

/// Looks into a running xmitd, prepares a place to try it, and says what this machine lacks for it.
///
/// Exit codes: 0 done; 1 it failed; 2 a mistake in the command line; 3 no daemon answers; 4 not permitted.
#[derive(Debug, Parser)]
#[command(name = "xmit", version, max_term_width = 100)]
pub struct Cli {
    /// The daemon's operator socket
    #[arg(long, global = true, default_value = OPERATOR_SOCKET, value_name = "PATH")]
    socket: PathBuf,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Make or remove two network namespaces with a veth pair between them
    ///
    /// xmit-a has xa0 with 10.77.0.1; xmit-b has xb0 with 10.77.0.3 for the kernel, and 10.77.0.2 is left for xmitd.
    Lab(LabArgs),
    /// Join two interfaces by a wire that loses, delays, reorders, duplicates and corrupts frames
    ///
    /// What comes out of one goes into the other, until Ctrl-C; both keep their names, addresses and kernel. A value such as
    /// `--loss 1%` holds both ways, `--loss 1%,0%` from A to B and from B to A. The counters of each direction are printed
    /// at the end, and at SIGUSR1. The same seed and the same frames at the same times meet the same fate.
    Impair(ImpairArgs),
    /// Say what this machine offers for AF_XDP, what it lacks, and the cure
    ///
    /// Exit code 1 if xmitd could not run on AF_XDP here as this user. Interfaces that are named are tried for real: an
    /// XDP program is attached for a moment, at which some cards restart.
    Doctor {
        /// Interfaces to try every mode of AF_XDP on
        #[arg(value_name = "INTERFACE")]
        interfaces: Vec<String>,
    },
    /// Show everything working, with numbers: ping, UDP and TCP over AF_XDP, and again over two 3C501s
    ///
    /// As root against the kernel, in a lab that is made and removed; else (or with --simulated) between two stacks in
    /// this process. Exit code 1 if something shown did not hold.
    Demo {
        /// Between two stacks in this process, also as root
        #[arg(long)]
        simulated: bool,
        /// What the lab is called
        #[arg(long, default_value = "xmit")]
        name: String,
    },
    /// The echo server of the demo, for UDP and TCP: a program of its own on the daemon's sockets
    #[command(hide = true)]
    DemoEcho {
        /// The daemon's socket for clients
        #[arg(long, value_name = "PATH")]
        session: PathBuf,
        /// Where to listen
        address: SocketAddrV4,
    },
    /// Counters, drop reasons, and cycles per stage
    Stat(StatArgs),
    /// Write the packets of an interface to a pcapng file, until Ctrl-C
    Capture(CaptureArgs),
    /// Interfaces, their addresses, and the mode each port obtained
    Interfaces,
    /// Open sockets of all programs
    Sockets,
    /// The forwarding table
    Routes,
    /// The neighbour (ARP) tables
    Neighbors,
    /// The queueing disciplines
    Qdisc,
    /// Whether every lane turns; exit code 1 if something is wrong
    Health,
    /// Have the daemon read its configuration again
    Reload,
}

#[derive(Debug, Args)]
struct LabArgs {
    #[command(subcommand)]
    action: LabAction,
    /// What the namespaces are called: NAME-a and NAME-b
    #[arg(long, global = true, default_value = "xmit")]
    name: String,
}

#[derive(Debug, Subcommand)]
enum LabAction {
    /// Make it; does nothing if it stands
    Up {
        /// Queue pairs of either interface, so that several lanes can each have one
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
        queues: u32,
    },
    /// Remove it; does nothing if it is not there
    Down,
    /// Say what stands
    Show,
}

#[derive(Debug, Args)]
struct StatArgs {
    /// Cycles per packet and stage of the turn, instead of counters
    #[arg(long)]
    stages: bool,
    /// Each lane by itself, instead of sums
    #[arg(long)]
    lanes: bool,
    /// Counters that are zero as well
    #[arg(long)]
    all: bool,
    /// Print again every SECONDS, with rates, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
    watch: Option<Duration>,
}

#[derive(Debug, Args)]
struct CaptureArgs {
    /// The interface by its name in the configuration; absent: all of them
    interface: Option<String>,
    /// The file, written by the daemon; absent: the daemon chooses one and it is told
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Bytes kept of each packet; 0 keeps all
    #[arg(short, long, value_name = "BYTES", default_value_t = 0)]
    snaplen: u32,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
    /// End a capture that an earlier, killed `xmit capture` left running
    #[arg(long, value_name = "ID", conflicts_with_all = ["interface", "write", "snaplen", "seconds"])]
    stop: Option<u64>,
}

impl Cli {
    /// Does what was asked.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let json = self.json;
        let connect = || Client::connect(&self.socket).map_err(Failure::from);
        match self.command {
            Command::Lab(LabArgs { action, name }) => lab(action, &name, json),
            Command::Impair(args) => impair::run(&args, json),
            Command::Doctor { interfaces } => doctor::run(&interfaces, json),
            Command::Demo { simulated, name } => demo::run(&demo::Options { simulated, name, json }),
            Command::DemoEcho { session, address } => demo::echo::serve(&session, address),
            Command::Stat(StatArgs { stages, lanes, all, watch }) => {
                view::stat::run(connect()?, StatOptions { stages, lanes, all, json, watch })
            }
            Command::Capture(CaptureArgs { stop: Some(id), .. }) => capture::stop(connect()?, id, json),
            Command::Capture(CaptureArgs { interface, write, snaplen, seconds, .. }) => {
                capture::run(connect()?, capture::Options { interface, path: write, snaplen, limit: seconds, json })
            }
            Command::Interfaces => view::show(connect()?, Show::Interfaces, json),
            Command::Sockets => view::show(connect()?, Show::Sockets, json),
            Command::Routes => view::show(connect()?, Show::Routes, json),
            Command::Neighbors => view::show(connect()?, Show::Neighbors, json),
            Command::Qdisc => view::show(connect()?, Show::Qdisc, json),
            Command::Health => view::health::run(connect()?, json),
            Command::Reload => view::health::reload(connect()?, json),
        }
    }
}

fn lab(action: LabAction, name: &str, json: bool) -> Result<ExitCode, Failure> {
    let state = match action {
        LabAction::Up { queues } => Lab::new(name, queues).up()?,
        LabAction::Down => Lab::new(name, 1).down()?,
        LabAction::Show => Lab::new(name, 1).state(),
    };
    view::print_as(json, &state, ToString::to_string)?;
    Ok(ExitCode::SUCCESS)
}

/// A positive number of seconds, fractions allowed.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is not a number of seconds"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("give a number of seconds above zero".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seconds_are_positive() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "x", "inf", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
