//! The system's own `ping`, run in a namespace and read.

use std::io::Read;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use crate::Failure;
use crate::demo::child::Running;
use crate::demo::narrator::until;
use crate::demo::not_shown;
use crate::demo::shown::Pings;
use crate::namespace;
use crate::wait::Interrupt;

/// One `ping` ends by itself after a second; this is for one that does not.
const LIMIT: Duration = Duration::from_secs(10);
/// Unanswered requests that mean that more would be in vain.
const LOST_MAX: u32 = 10;

/// Pings `target` from `from` until `count` are answered, or [`LOST_MAX`] are not. One request at a time, each a `ping` of
/// its own: a card with one buffer hears nothing while it holds a frame, and requests that piled up before a busy
/// machine would overrun it.
pub fn ping(from: &str, target: Ipv4Addr, count: u32, interrupt: &Interrupt) -> Result<Pings, Failure> {
    let (mut sent, mut round_trips) = (0, Vec::new());
    while round_trips.len() < count as usize && sent < count + LOST_MAX {
        round_trips.extend(ping_once(from, target, interrupt)?);
        sent += 1;
    }
    Ok(Pings::new(count, sent, round_trips))
}

/// The round trip in milliseconds, if there was an answer.
fn ping_once(from: &str, target: Ipv4Addr, interrupt: &Interrupt) -> Result<Option<f64>, Failure> {
    let mut command = namespace::program(from, "ping");
    command.args(["-n", "-c", "1", "-W", "1", &target.to_string()]);
    let mut ping = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    until(interrupt, LIMIT, "the end of ping", || Ok(ping.ended()))?;
    let (mut output, mut errors) = (String::new(), String::new());
    let child = ping.child();
    let read = child.stdout.take().map_or(Ok(0), |mut pipe| pipe.read_to_string(&mut output));
    let read = read.and(child.stderr.take().map_or(Ok(0), |mut pipe| pipe.read_to_string(&mut errors)));
    read.map_err(Failure::io("read what ping says"))?;
    match errors.trim() {
        "" => Ok(round_trip(&output)),
        errors => Err(not_shown(format!("ping {target}: {errors}; is iputils-ping installed?"))),
    }
}

/// What stands behind `time=`.
fn round_trip(output: &str) -> Option<f64> {
    output.split_once("time=")?.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_time() {
        let head = "PING 10.77.0.2 (10.77.0.2) 56(84) bytes of data.\n";
        let answer = "64 bytes from 10.77.0.2: icmp_seq=1 ttl=64 time=0.500 ms\n\n";
        let end = "1 packets transmitted, 1 received, 0% packet loss, time 3ms\n";
        assert_eq!(round_trip(&format!("{head}{answer}{end}")), Some(0.5));
        assert_eq!(round_trip("64 bytes from 10.77.0.2: icmp_seq=1 ttl=64 time=12 ms"), Some(12.0));
        assert_eq!(round_trip(&format!("{head}\n{end}")), None);
    }
}
