//! Contenders under loads, by turns: what the system benchmarks have in common.
//!
//! In each round every contender runs once under the load, while the programs of the others are stopped; ratios are taken round by
//! round against the first contender.

use crate::contender::{Contender, Load, this_program};
use crate::cpu;
use crate::report::{Row, Series, table};
use crate::variant::{Kind, Variant};
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Before each measurement: caches, neighbours and the scheduler settle.
pub const WARM_UP: Duration = Duration::from_millis(200);

/// How often, how long, and who.
#[derive(Args, Clone, Debug)]
pub struct Course {
    /// Rounds; in each every contender runs once under every load.
    #[arg(long, default_value_t = 7)]
    pub rounds: usize,
    /// Measured seconds of one run.
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    /// A contender, `name:key=value,...`; may be repeated, and the first is the one that ratios are against. Keys: kind
    /// (kernel, mmsg, xmitd), lane, spin, busy_poll, echo_spin, echo, load, rps (cores), xmitd, program (files).
    #[arg(long = "variant", value_name = "VARIANT")]
    pub variants: Vec<Variant>,
    /// Goes before other work on this machine (autogroup nice -20, as root), for figures on a machine that is not idle.
    #[arg(long)]
    pub urgent: bool,
    /// Writes the report here too, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Runs `course` with `defaults` as its contenders unless it names others, and prints the report under `title`. `configuration` is what the
/// daemon's file says beside the network.
///
/// # Errors
/// What is missing on this machine, or what a contender said when it failed.
pub fn compare(
    course: &Course,
    title: &str,
    defaults: Vec<Variant>,
    loads: &[Load],
    configuration: &'static str,
) -> Result<(), Box<dyn Error>> {
    if let Some(why) = xmit_netns::why_not().or_else(|| xmit_netns::why_program_missing("setpriv")) {
        return Err(format!("{why}; run this as root, with iproute2, ethtool and util-linux").into());
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    if course.urgent {
        cpu::go_first()?;
    }
    let variants = if course.variants.is_empty() { defaults } else { course.variants.clone() };
    build_daemon(&variants)?;
    let numbered = variants.into_iter().zip(1..);
    let mut contenders: Vec<_> =
        numbered.map(|(variant, number)| Contender::start(variant, number, configuration)).collect::<Result<_, _>>()?;
    let rows = measure(course, &mut contenders, loads, &stop)?;
    println!(
        "{title}, {} rounds of {} s by turns; all offloads off on all veths; kernel {}",
        course.rounds,
        course.seconds,
        kernel_release()
    );
    print!("{}", table(&rows));
    if let Some(file) = &course.json {
        std::fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    }
    Ok(())
}

fn measure(
    course: &Course,
    contenders: &mut [Contender],
    loads: &[Load],
    stop: &AtomicBool,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for load in loads {
        let mut all = vec![Series::default(); contenders.len()];
        for round in 1..=course.rounds {
            for (contender, series) in contenders.iter_mut().zip(&mut all) {
                if stop.load(Ordering::Relaxed) {
                    return Err("interrupted; nothing is left behind".into());
                }
                let one = contender.round(load, course.seconds)?;
                let rate = one.outcome.rate() * load.unit.scale;
                let (name, unit) = (&contender.variant.name, load.unit.rate);
                eprintln!("round {round} of {}, {}, {name}: {rate:.1} {unit}", course.rounds, load.name);
                series.rounds.push(one);
            }
        }
        let Some(base) = all.first().cloned() else { continue };
        let named = contenders.iter().zip(&all);
        rows.extend(named.map(|(c, series)| series.row(&c.variant.name, &load.name, load.unit, &base)));
    }
    Ok(rows)
}

/// The daemon beside this program may be missing or old: `cargo run` builds only what it runs.
fn build_daemon(variants: &[Variant]) -> Result<(), Box<dyn Error>> {
    let ours = this_program().with_file_name("xmitd");
    let wanted = variants.iter().any(|variant| variant.kind == Kind::Xmitd && variant.xmitd() == ours);
    let Some(cargo) = std::env::var_os("CARGO").filter(|_| wanted) else { return Ok(()) };
    let profile = if ours.parent().is_some_and(|directory| directory.ends_with("release")) { "release" } else { "dev" };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = Command::new(cargo).current_dir(root).args(["build", "-p", "xmitd", "--profile", profile]).status()?;
    if status.success() { Ok(()) } else { Err("xmitd does not build".into()) }
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}
