//! `xmit capture`: has the daemon write packets to a file until the person has seen enough.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use xmitd::api::{CaptureStopped, Client};

use crate::Failure;
use crate::view::print_as;
use crate::wait::Interrupt;

/// What to capture.
#[derive(Debug)]
pub struct Options {
    /// The interface; absent: all.
    pub interface: Option<String>,
    /// The file; absent: the daemon chooses.
    pub path: Option<PathBuf>,
    /// Bytes kept of each packet; 0 keeps all.
    pub snaplen: u32,
    /// How long; absent: until interrupted.
    pub limit: Option<Duration>,
    /// For programs.
    pub json: bool,
}

/// Starts a capture, waits, and stops it. The signals are caught before it starts, so that none leaves it running.
pub fn run(mut client: Client, options: Options) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::catch().map_err(Failure::io("watch for Ctrl-C"))?;
    let Options { interface, path, snaplen, limit, json } = options;
    // The daemon has another working directory than the person.
    let path = path.map(std::path::absolute).transpose().map_err(Failure::io("name the file"))?;
    let started = client.start_capture(interface, path, snaplen)?;
    if !json {
        let until = if limit.is_some() { "until the time is over, or Ctrl-C" } else { "until Ctrl-C" };
        eprintln!("capture {} to {} {until}", started.id, started.path.display());
    }
    let waited = interrupt.wait(limit).map_err(Failure::io("wait"));
    let stopped = stop(client, started.id, json);
    waited.and(stopped)
}

/// Ends a capture and says what it holds.
pub fn stop(mut client: Client, id: u64, json: bool) -> Result<ExitCode, Failure> {
    print_as(json, &client.stop_capture(id)?, text)?;
    Ok(ExitCode::SUCCESS)
}

fn text(stopped: &CaptureStopped) -> String {
    let CaptureStopped { path, packets, bytes, missed, .. } = stopped;
    let missing = match missed {
        0 => String::new(),
        missed => {
            format!(" {missed} packets came too fast and are missing; capture one interface, or fewer bytes (-s).")
        }
    };
    format!("{packets} packets, {bytes} bytes in {}.{missing}\n", path.display())
}
