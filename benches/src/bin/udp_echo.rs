//! UDP echo by one client over a veth pair: kernel sockets and xmitd by turns, in one run.
//!
//! `cargo run --release -p xmit-benches --bin udp_echo -- --rounds 7 --seconds 1`. Needs root, iproute2, ethtool and
//! util-linux. `docs/benchmarks.md` explains the figures.

use clap::{Args, Parser, Subcommand};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use xmit_benches::contender::{Contender, LoadOptions, this_program};
use xmit_benches::report::{Row, Series, table};
use xmit_benches::variant::{Kind, Variant};
use xmit_benches::{cpu, echo, load};

/// Before each measurement: caches, neighbours and the scheduler settle.
const WARM_UP: Duration = Duration::from_millis(200);

#[derive(Parser)]
#[command(about = "UDP echo over a veth pair: kernel sockets and xmitd by turns")]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    plan: Plan,
}

#[derive(Args)]
struct Plan {
    /// Rounds; in each every contender runs once at every window.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Measured seconds of one run.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Datagrams under way at once.
    #[arg(long, value_delimiter = ',', default_value = "1,64")]
    windows: Vec<usize>,
    /// Bytes of payload, at least 16.
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// A contender, `name:key=value,...`; may be repeated, and the first is the one that ratios are against. Keys: kind
    /// (kernel, mmsg, xmitd), lane, spin, busy_poll, echo_spin, echo, load (cores), xmitd, program (files).
    #[arg(long = "variant", value_name = "VARIANT")]
    variants: Vec<Variant>,
    /// Goes before other work on this machine (autogroup nice -20, as root), for figures on a machine that is not idle.
    #[arg(long)]
    urgent: bool,
    /// Writes the report here too, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Role {
    /// The client (used by the benchmark itself).
    #[command(hide = true)]
    Load {
        #[arg(long)]
        to: SocketAddr,
        #[arg(long)]
        window: usize,
        #[arg(long)]
        payload: usize,
        #[arg(long)]
        seconds: f64,
    },
    /// The echo on a kernel socket (used by the benchmark itself).
    #[command(hide = true)]
    KernelEcho {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        batch: usize,
    },
    /// The echo on a socket of xmitd (used by the benchmark itself).
    #[command(hide = true)]
    XmitEcho {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        socket: PathBuf,
        #[arg(long)]
        spin_us: Option<u64>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.role {
        Some(role) => play(role),
        None => compare(&arguments.plan),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp_echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(role: Role) -> Result<(), Box<dyn Error>> {
    match role {
        Role::Load { to, window, payload, seconds } => {
            let duration = Duration::from_secs_f64(seconds);
            let outcome = load::run(&load::Load { to, window, payload, warm_up: WARM_UP, duration })?;
            println!("{}", serde_json::to_string(&outcome)?);
        }
        Role::KernelEcho { port, batch } => {
            let socket = UdpSocket::bind(("0.0.0.0", port))?;
            println!("ready");
            echo::kernel(&socket, batch)?;
        }
        Role::XmitEcho { port, socket, spin_us } => {
            let session = xmit::Session::connect(socket)?;
            if let Some(micros) = spin_us {
                session.set_spin(Duration::from_micros(micros));
            }
            echo::xmit(&session, port, || println!("ready"))?;
        }
    }
    Ok(())
}

fn compare(plan: &Plan) -> Result<(), Box<dyn Error>> {
    if let Some(why) = xmit_netns::why_not().or_else(|| xmit_netns::why_program_missing("setpriv")) {
        return Err(format!("{why}; run this as root, with iproute2, ethtool and util-linux").into());
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    if plan.urgent {
        cpu::go_first()?;
    }
    let variants = match plan.variants.is_empty() {
        true => default_variants(),
        false => plan.variants.clone(),
    };
    build_daemon(&variants)?;
    let numbered = variants.into_iter().zip(1..);
    let mut contenders: Vec<_> = numbered.map(|(v, number)| Contender::start(v, number)).collect::<Result<_, _>>()?;
    let rows = measure(plan, &mut contenders, &stop)?;
    println!(
        "{} bytes of payload, {} rounds of {} s by turns; checksum offload off on all veths; kernel {}",
        plan.payload,
        plan.rounds,
        plan.seconds,
        kernel_release()
    );
    print!("{}", table(&rows));
    if let Some(file) = &plan.json {
        std::fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    }
    Ok(())
}

fn measure(plan: &Plan, contenders: &mut [Contender], stop: &AtomicBool) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for &window in &plan.windows {
        let load = LoadOptions { window, payload: plan.payload, seconds: plan.seconds };
        let mut all = vec![Series::default(); contenders.len()];
        for round in 0..plan.rounds {
            for (contender, series) in contenders.iter_mut().zip(&mut all) {
                if stop.load(Ordering::Relaxed) {
                    return Err("interrupted; nothing is left behind".into());
                }
                series.rounds.push(contender.round(load)?);
                let rate = series.rounds.last().map_or(0.0, |round| round.outcome.rate());
                eprintln!(
                    "round {} of {}, window {window}, {}: {rate:.0}/s",
                    round + 1,
                    plan.rounds,
                    contender.variant.name
                );
            }
        }
        let Some(base) = all.first().cloned() else { continue };
        rows.extend(contenders.iter().zip(&all).map(|(c, series)| series.row(&c.variant.name, window, &base)));
    }
    Ok(rows)
}

fn default_variants() -> Vec<Variant> {
    let kernel = Variant::new("kernel", Kind::Kernel { batch: 1 });
    let batched = Variant::new("kernel, mmsg", Kind::Kernel { batch: 64 });
    vec![kernel, batched, Variant::new("xmitd", Kind::Xmitd)]
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
