//! How one contender is made, as the command line says it: `name:key=value,key=value`.
//!
//! ```text
//! kernel:kind=kernel                            recvfrom and sendto
//! batches:kind=mmsg                             recvmmsg and sendmmsg of 64
//! xmitd:kind=xmitd,lane=1,spin=50us,echo_spin=5us
//! old:kind=xmitd,xmitd=/tmp/xmitd-before        another build, measured by turns with this one
//! ```

use crate::contender::this_program;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A kernel socket.
    Kernel {
        /// Datagrams in one system call at most.
        batch: usize,
    },
    /// The daemon over AF_XDP, and a client of it.
    Xmitd,
}

/// How one contender is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The name in the report.
    pub name: String,
    /// What echoes.
    pub kind: Kind,
    /// The lane's core.
    pub lane_core: u32,
    /// How long the lane looks for work before it sleeps.
    pub lane_spin: Duration,
    /// More lines of the lane's configuration.
    pub lane_more: String,
    /// How long the echo looks for a datagram before it sleeps; the client library's default if absent.
    pub echo_spin: Option<Duration>,
    /// The echo's core; the scheduler's choice if absent.
    pub echo_core: Option<u32>,
    /// The load's core; the scheduler's choice if absent.
    pub load_core: Option<u32>,
    /// The core that takes what arrives at the load (RPS); if absent that which sent it, within the sending.
    pub rps_core: Option<u32>,
    xmitd: Option<PathBuf>,
    program: Option<PathBuf>,
}

/// The text is no variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` in a variant: {cure}")]
pub struct BadVariant {
    word: String,
    cure: &'static str,
}

/// Datagrams in one call of the kernel's batched echo.
const BATCH: usize = 64;

impl Variant {
    /// A variant with everything but its name and kind by default.
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            lane_core: 1,
            lane_spin: Duration::from_micros(50),
            lane_more: String::new(),
            echo_spin: None,
            echo_core: None,
            load_core: None,
            rps_core: None,
            xmitd: None,
            program: None,
        }
    }

    /// The daemon's program.
    pub fn xmitd(&self) -> PathBuf {
        self.xmitd.clone().unwrap_or_else(|| this_program().with_file_name("xmitd"))
    }

    /// The echo's program.
    pub fn program(&self) -> PathBuf {
        self.program.clone().unwrap_or_else(this_program)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), BadVariant> {
        let bad = |cure| BadVariant { word: format!("{key}={value}"), cure };
        let number = || value.parse().map_err(|_| bad("write a number of a core"));
        let span = || {
            let micros = value.strip_suffix("us").and_then(|number| number.parse().ok());
            micros.map(Duration::from_micros).ok_or(bad("write a time such as 50us"))
        };
        match (key, value) {
            ("kind", "kernel") => self.kind = Kind::Kernel { batch: 1 },
            ("kind", "mmsg") => self.kind = Kind::Kernel { batch: BATCH },
            ("kind", "xmitd") => self.kind = Kind::Xmitd,
            ("kind", _) => return Err(bad("write kernel, mmsg or xmitd")),
            ("lane", _) => self.lane_core = number()?,
            ("spin", _) => self.lane_spin = span()?,
            ("busy_poll", _) => self.lane_more = format!("busy_poll = \"{value}\""),
            ("echo_spin", _) => self.echo_spin = Some(span()?),
            ("echo", _) => self.echo_core = Some(number()?),
            ("load", _) => self.load_core = Some(number()?),
            ("rps", _) => self.rps_core = Some(number()?),
            ("xmitd", _) => self.xmitd = Some(value.into()),
            ("program", _) => self.program = Some(value.into()),
            _ => return Err(bad("keys are kind, lane, spin, busy_poll, echo_spin, echo, load, rps, xmitd, program")),
        }
        Ok(())
    }
}

impl FromStr for Variant {
    type Err = BadVariant;

    fn from_str(text: &str) -> Result<Self, BadVariant> {
        let (name, words) = text.split_once(':').unwrap_or((text, "kind=xmitd"));
        let mut variant = Self::new(name, Kind::Xmitd);
        for word in words.split(',') {
            let cure = "write key=value";
            let (key, value) = word.split_once('=').ok_or(BadVariant { word: word.into(), cure })?;
            variant.set(key, value)?;
        }
        Ok(variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_read() {
        let spun: Variant = "spun:kind=xmitd,lane=0,spin=20us,echo=1,echo_spin=0us".parse().unwrap();
        assert_eq!((spun.lane_core, spun.lane_spin, spun.echo_core), (0, Duration::from_micros(20), Some(1)));
        let kernel: Variant = "k:kind=mmsg,rps=1".parse().unwrap();
        assert_eq!((kernel.kind, kernel.rps_core), (Kind::Kernel { batch: BATCH }, Some(1)));
        for wrong in ["x:kind=dpdk", "x:spin=20", "x:lane", "x:speed=9"] {
            assert!(wrong.parse::<Variant>().is_err(), "{wrong}");
        }
    }
}
