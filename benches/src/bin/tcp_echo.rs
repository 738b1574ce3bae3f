//! TCP servers over a veth pair, on kernel sockets and on xmitd by turns, in one run: requests, connections and bulk.
//!
//! `cargo run --release -p xmit-benches --bin tcp_echo -- --rounds 7 --seconds 1`. Needs root, iproute2, ethtool and
//! util-linux. `docs/benchmarks.md` explains the figures.

use clap::{Args, Parser, Subcommand};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use xmit_benches::comparison::{self, WARM_UP};
use xmit_benches::tcp::server::{self, Service};
use xmit_benches::tcp::{REQUEST_BYTES, Scenario, load, raise_descriptor_limit};
use xmit_benches::variant::{Kind, Variant};

/// A server of a thousand connections, and slots that listeners keep in stock.
const CONFIGURATION: &str = "[client]\nsockets_max = 4096\nmemory = \"4GiB\"\n";

#[derive(Parser)]
#[command(about = "TCP servers over a veth pair, on kernel sockets and on xmitd by turns")]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    plan: Plan,
}

#[derive(Args)]
struct Plan {
    #[command(flatten)]
    common: comparison::Course,
    /// What the client does: requests-N, connects-N, in-N, out-N, with N connections at once. in and out are the server's.
    #[arg(long, value_delimiter = ',', default_values_t = Scenario::DEFAULT)]
    scenarios: Vec<Scenario>,
}

#[derive(Subcommand)]
enum Role {
    /// The client (used by the benchmark itself).
    #[command(hide = true)]
    Load {
        #[arg(long)]
        to: SocketAddr,
        #[arg(long)]
        scenario: Scenario,
        #[arg(long)]
        seconds: f64,
    },
    /// The server on kernel sockets (used by the benchmark itself).
    #[command(hide = true)]
    KernelEcho {
        #[arg(long)]
        port: u16,
    },
    /// The server on sockets of xmitd (used by the benchmark itself).
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
            eprintln!("tcp_echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(role: Role) -> Result<(), Box<dyn Error>> {
    match role {
        Role::Load { to, scenario, seconds } => {
            let duration = Duration::from_secs_f64(seconds);
            let outcome = load::run(&load::Load { to, scenario, warm_up: WARM_UP, duration })?;
            println!("{}", serde_json::to_string(&outcome)?);
        }
        Role::KernelEcho { .. } => {
            raise_descriptor_limit();
            let everywhere = |(service, port)| (service, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
            server::on_kernel(&Service::ALL.map(everywhere), |_| println!("ready"))?;
        }
        Role::XmitEcho { socket, spin_us, .. } => {
            let session = xmit::Session::connect(socket)?;
            if let Some(micros) = spin_us {
                session.set_spin(Duration::from_micros(micros));
            }
            server::on_xmit(&session, || println!("ready"))?;
        }
    }
    Ok(())
}

fn compare(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let loads: Vec<_> = plan.scenarios.iter().map(|scenario| scenario.load()).collect();
    let defaults = vec![Variant::new("kernel", Kind::Kernel { batch: 1 }), Variant::new("xmitd", Kind::Xmitd)];
    if plan.common.variants.iter().any(|variant| matches!(variant.kind, Kind::Kernel { batch: 2.. })) {
        return Err("kind=mmsg is for datagrams: write kernel or xmitd".into());
    }
    let congestion = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default();
    let title = format!("TCP, requests and answers of {REQUEST_BYTES} bytes, the kernel's with {}", congestion.trim());
    comparison::compare(&plan.common, &title, defaults, &loads, CONFIGURATION)
}
