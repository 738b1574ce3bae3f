//! What was shown, in numbers, and whether it held.

use std::fmt;

use serde::Serialize;

/// Pings and their answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pings {
    /// Answers wanted.
    pub wanted: u32,
    /// Echo requests sent.
    pub sent: u32,
    /// Echo replies received.
    pub answered: u32,
    /// The median of their round trips.
    pub median_ms: f64,
}

impl Pings {
    /// For `wanted` answers `sent` requests left, and those with these round trips were answered.
    pub fn new(wanted: u32, sent: u32, mut round_trips_ms: Vec<f64>) -> Self {
        round_trips_ms.sort_by(f64::total_cmp);
        let median_ms = round_trips_ms.get(round_trips_ms.len() / 2).copied().unwrap_or(0.0);
        Self { wanted, sent, answered: round_trips_ms.len() as u32, median_ms }
    }
}

/// Datagrams and their echoes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Echoes {
    /// Datagrams of different content.
    pub wanted: u32,
    /// Those that came back as they were sent.
    pub echoed: u32,
    /// What came back and was never sent.
    pub wrong: u32,
    /// Datagrams sent again because no echo came in time.
    pub again: u32,
    /// How long it took.
    pub seconds: f64,
}

/// Bytes of a TCP connection and their way back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Streamed {
    /// Who connected to whom.
    pub direction: &'static str,
    /// Bytes sent.
    pub wanted: usize,
    /// Bytes that came back.
    pub echoed: usize,
    /// Whether one of them was another than the one sent.
    pub wrong: bool,
    /// How long it took.
    pub seconds: f64,
}

impl Streamed {
    /// Nothing came back yet.
    pub fn new(direction: &'static str, wanted: usize) -> Self {
        Self { direction, wanted, echoed: 0, wrong: false, seconds: 0.0 }
    }

    /// Whether everything came back as it was sent.
    pub fn holds(&self) -> bool {
        self.echoed == self.wanted && !self.wrong
    }
}

impl fmt::Display for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direction, wanted, echoed, wrong, seconds } = self;
        let rate = *echoed as f64 * 8e-6 / seconds.max(1e-9);
        let wrong = if *wrong { ", not as they were sent" } else { "" };
        write!(f, "{direction}, {echoed} of {wanted} bytes came back{wrong}, {rate:.1} Mbit/s each way")
    }
}

/// One way between two hosts and what went over it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// The way.
    pub over: &'static str,
    /// The mode that the ports obtained.
    pub mode: String,
    /// Ping.
    pub pings: Pings,
    /// UDP.
    pub echoes: Echoes,
    /// TCP, where there is some: each direction of connecting.
    pub streams: Vec<Streamed>,
    /// Collisions, where the way has them.
    pub collisions: Option<u64>,
    /// Lines that a TCP connection of the kernel carried over the same interface meanwhile, where there is one.
    pub kernel_tcp_lines: Option<u64>,
    /// Frames that were neither free nor anywhere else at the end, where they can be counted.
    pub frames_lost: Option<usize>,
}

impl Shown {
    /// Whether everything came back.
    pub fn holds(&self) -> bool {
        self.pings.answered >= self.pings.wanted
            && self.echoes.echoed == self.echoes.wanted
            && self.echoes.wrong == 0
            && self.streams.iter().all(Streamed::holds)
            && self.kernel_tcp_lines != Some(0)
            && self.frames_lost.unwrap_or(0) == 0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pings, echoes, .. } = self;
        let rate = f64::from(echoes.echoed) / echoes.seconds.max(1e-9);
        writeln!(f, "  {} ({})", self.over, self.mode)?;
        writeln!(f, "    ping  {} of {} answered, median {:.3} ms", pings.answered, pings.sent, pings.median_ms)?;
        write!(f, "    UDP   {} of {} datagrams echoed, {rate:.0} a second", echoes.echoed, echoes.wanted)?;
        writeln!(f, ", {} sent again, {} wrong", echoes.again, echoes.wrong)?;
        for stream in &self.streams {
            writeln!(f, "    TCP   {stream}")?;
        }
        if let Some(lines) = self.kernel_tcp_lines {
            writeln!(f, "    TCP   {lines} lines on the kernel's connection over the same interface meanwhile")?;
        }
        if let Some(collisions) = self.collisions {
            writeln!(f, "    coax  {collisions} collisions")?;
        }
        if let Some(lost) = self.frames_lost {
            writeln!(f, "    pool  {lost} frames lost")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Shown {
        Shown {
            over: "xmitd on AF_XDP",
            mode: "AF_XDP native, copy".to_owned(),
            pings: Pings::new(3, 3, vec![3.0, 1.0, 2.0]),
            echoes: Echoes { wanted: 10, echoed: 10, seconds: 0.5, ..Echoes::default() },
            streams: vec![Streamed { echoed: 1_000_000, seconds: 2.0, ..Streamed::new("kernel to xmit", 1_000_000) }],
            collisions: None,
            kernel_tcp_lines: Some(7),
            frames_lost: None,
        }
    }

    #[test]
    fn what_came_back_holds_and_is_said_in_numbers() {
        let expected = [
            "  xmitd on AF_XDP (AF_XDP native, copy)",
            "    ping  3 of 3 answered, median 2.000 ms",
            "    UDP   10 of 10 datagrams echoed, 20 a second, 0 sent again, 0 wrong",
            "    TCP   kernel to xmit, 1000000 of 1000000 bytes came back, 4.0 Mbit/s each way",
            "    TCP   7 lines on the kernel's connection over the same interface meanwhile",
        ];
        assert_eq!(shown().to_string().lines().collect::<Vec<_>>(), expected);
        assert!(shown().holds());
    }

    #[test]
    fn each_shortfall_does_not_hold() {
        let spoil: [fn(&mut Shown); 7] = [
            |s| s.pings.answered = 2,
            |s| s.echoes.echoed = 9,
            |s| s.echoes.wrong = 1,
            |s| s.streams[0].echoed = 999_999,
            |s| s.streams[0].wrong = true,
            |s| s.kernel_tcp_lines = Some(0),
            |s| s.frames_lost = Some(1),
        ];
        for (case, spoil) in spoil.iter().enumerate() {
            let mut shown = shown();
            spoil(&mut shown);
            assert!(!shown.holds(), "case {case}");
        }
    }
}
