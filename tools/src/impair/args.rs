//! What can be asked of `xmit impair`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use xmit_nic::sim::Impairment;
use xmitd::config::Span;

use crate::cli::seconds;
use crate::impair::value::{Both, Rate, Share, Way, both};

/// The options. Every value but the interfaces may be `THERE,BACK`: from A to B, and from B to A.
#[derive(Debug, Args)]
pub struct ImpairArgs {
    /// One interface; its namespace by its name in /run/netns
    #[arg(long, value_name = "[NETNS:]DEV")]
    pub a: Interface,
    /// The other interface
    #[arg(long, value_name = "[NETNS:]DEV")]
    pub b: Interface,
    /// Frames lost
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = both::<Share>)]
    loss: Both<Share>,
    /// Frames that arrive twice
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = both::<Share>)]
    duplicate: Both<Share>,
    /// Frames of which one bit is flipped, anywhere
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = both::<Share>)]
    corrupt: Both<Share>,
    /// Time from one interface to the other
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = both::<Span>)]
    delay: Both<Span>,
    /// Added to the delay, evenly from zero to this; the order stays
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = both::<Span>)]
    jitter: Both<Span>,
    /// Frames held back while later ones pass
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = both::<Share>)]
    reorder: Both<Share>,
    /// How long those are held back
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = both::<Span>)]
    hold: Both<Span>,
    /// Speed of the wire, in the units of tc
    #[arg(long, value_name = "RATE", default_value = "unlimited", value_parser = both::<Rate>)]
    rate: Both<Rate>,
    /// Frames that may wait for a wire of limited rate; the next one is dropped
    #[arg(long, value_name = "FRAMES", default_value = "1000", value_parser = both::<usize>)]
    queue: Both<usize>,
    /// Decides what happens to each frame; absent: chosen and told
    #[arg(long)]
    pub seed: Option<u64>,
    /// End after so many seconds; absent: at Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub seconds: Option<Duration>,
}

/// An interface and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The namespace; absent: this process's.
    pub namespace: Option<String>,
    /// Its name there.
    pub device: String,
}

impl FromStr for Interface {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, device) = match text.split_once(':') {
            None => (None, text),
            Some((namespace, device)) => (Some(namespace), device),
        };
        if device.is_empty() || namespace.is_some_and(|namespace| namespace.is_empty() || namespace.contains('/')) {
            return Err(format!("`{text}` is no interface: write DEV, or NETNS:DEV with a name of `ip netns list`"));
        }
        Ok(Self { namespace: namespace.map(str::to_owned), device: device.to_owned() })
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            None => f.write_str(&self.device),
            Some(namespace) => write!(f, "{namespace}:{}", self.device),
        }
    }
}

impl ImpairArgs {
    /// What `way` does, between interfaces that take datagrams of `mtu` bytes.
    pub fn impairment(&self, way: Way, mtu: u16) -> Impairment {
        Impairment {
            mtu,
            queue_frames_max: self.queue.by(way),
            rate_bps: self.rate.by(way).0,
            loss_ppm: self.loss.by(way).0,
            corrupt_ppm: self.corrupt.by(way).0,
            duplicate_ppm: self.duplicate.by(way).0,
            delay: self.delay.by(way).0,
            jitter: self.jitter.by(way).0,
            reorder_ppm: self.reorder.by(way).0,
            reorder_hold: self.hold.by(way).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ImpairArgs,
    }

    fn parse(line: &str) -> Result<ImpairArgs, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.args)
    }

    #[test]
    fn without_options_the_wire_is_perfect() {
        let args = parse("x --a ns1:va --b vb").unwrap();
        assert_eq!((args.a.to_string(), args.b.to_string()), ("ns1:va".to_owned(), "vb".to_owned()));
        for way in [Way::There, Way::Back] {
            assert_eq!(args.impairment(way, 1500), Impairment::NONE);
        }
    }

    #[test]
    fn every_option_arrives_in_its_direction() {
        let line = "x --a a --b b --loss 1%,2% --delay 20ms --jitter 5ms,0ms --reorder 2% --hold 3ms --duplicate 1%,0% \
                    --corrupt 0.1% --rate 100mbit,1gbit --queue 50,60 --seed 7 --seconds 2";
        let args = parse(&line.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap();
        let there = Impairment {
            mtu: 9000,
            queue_frames_max: 50,
            rate_bps: 100_000_000,
            loss_ppm: 10_000,
            corrupt_ppm: 1_000,
            duplicate_ppm: 10_000,
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(5),
            reorder_ppm: 20_000,
            reorder_hold: Duration::from_millis(3),
        };
        let back = Impairment {
            queue_frames_max: 60,
            rate_bps: 1_000_000_000,
            loss_ppm: 20_000,
            duplicate_ppm: 0,
            jitter: Duration::ZERO,
            ..there
        };
        assert_eq!(args.impairment(Way::There, 9000), there);
        assert_eq!(args.impairment(Way::Back, 9000), back);
        assert_eq!((args.seed, args.seconds), (Some(7), Some(Duration::from_secs(2))));
    }

    #[test]
    fn mistakes_are_refused() {
        for line in ["--a x", "--a x --b :y", "--a x --b ns:", "--a x --b a/b:y", "--a x --b y --loss 101%"] {
            assert!(parse(&format!("x {line}")).is_err(), "{line}");
        }
    }
}
