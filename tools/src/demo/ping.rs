//! The system's own `ping`, run in a namespace and read.

use std::io::Read;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use crate::Failure;
use crate::demo::child::Running;
use crate::demo::namespace;
use crate::demo::narrator::until;
use crate::demo::not_shown;
use crate::demo::shown::Pings;
use crate::wait::Interrupt;

/// `ping` ends by itself a second after its last request; this is for one that does not.
const LIMIT: Duration = Duration::from_secs(10);

/// Pings `target` `count` times from `from`, 10 ms apart.
pub fn ping(from: &str, target: Ipv4Addr, count: u32, interrupt: &Interrupt) -> Result<Pings, Failure> {
    let mut command = namespace::program(from, "ping");
    command.args(["-n", "-i", "0.01", "-W", "1", "-c", &count.to_string(), &target.to_string()]);
    let mut ping = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    until(interrupt, LIMIT, "the end of ping", || Ok(ping.ended()))?;
    let (mut output, mut errors) = (String::new(), String::new());
    let child = ping.child();
    let read = child.stdout.take().map_or(Ok(0), |mut pipe| pipe.read_to_string(&mut output));
    let read = read.and(child.stderr.take().map_or(Ok(0), |mut pipe| pipe.read_to_string(&mut errors)));
    read.map_err(Failure::io("read what ping says"))?;
    if !errors.trim().is_empty() {
        return Err(not_shown(format!("ping {target}: {}; is iputils-ping installed?", errors.trim())));
    }
    Ok(parse(&output, count))
}

/// What `ping` printed: a line with `time=` for each answer, `DUP!` for second ones.
fn parse(output: &str, sent: u32) -> Pings {
    let answers = output.lines().filter(|line| !line.contains("DUP!"));
    let times = answers.filter_map(|line| line.split_once("time=")?.1.split_whitespace().next()?.parse().ok());
    Pings::new(sent, times.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_once_with_their_times() {
        let output = "PING 10.77.0.2 (10.77.0.2) 56(84) bytes of data.\n\
                      64 bytes from 10.77.0.2: icmp_seq=1 ttl=64 time=0.500 ms\n\
                      64 bytes from 10.77.0.2: icmp_seq=1 ttl=64 time=0.510 ms (DUP!)\n\
                      64 bytes from 10.77.0.2: icmp_seq=3 ttl=64 time=12 ms\n\n\
                      3 packets transmitted, 2 received, +1 duplicates, 33% packet loss, time 3ms\n";
        assert_eq!(parse(output, 3), Pings { sent: 3, answered: 2, median_ms: 12.0 });
        assert_eq!(parse("", 3), Pings { sent: 3, answered: 0, median_ms: 0.0 });
    }
}
