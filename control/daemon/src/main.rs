//! `xmitd`: the daemon's command line.

use clap::Parser;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing::info;
use xmit_shared::clock;
use xmitd::boot::Booted;
use xmitd::config::{Config, Machine, explain::explain};
use xmitd::control::{Control, STEPS};
use xmitd::log::Log;
use xmitd::netlink::Dump;

/// A kernel-bypass TCP/IP stack as a daemon.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration; docs/xmit.toml shows every field.
    #[arg(long, value_name = "FILE", default_value = "/etc/xmit/xmit.toml")]
    config: PathBuf,
    /// Says what the configuration would do, changes nothing, and ends.
    #[arg(long)]
    check: bool,
    /// What is logged, instead of what the configuration says: error, warn, info, debug, trace, or a filter.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xmitd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let links = Dump::open()?.links()?.rows;
    let machine = Machine::here(links.into_iter().map(|link| link.name).collect());
    let config = Config::load(&arguments.config, &machine)?;
    if arguments.check {
        explain(&config).iter().for_each(|sentence| println!("{sentence}"));
        return Ok(());
    }
    let log = Log::start(arguments.log.as_deref().unwrap_or(&config.daemon.log))?;
    let control = Control::new(config, arguments.config, log, arguments.log, clock::monotonic())?;
    let mut daemon = Booted::start(&STEPS, control)?;
    info!("ready");
    let outcome = daemon.context.run();
    info!("stopping");
    let problems = daemon.stop();
    outcome?;
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}
