//! UDP echo by one client over a veth pair: kernel sockets and xmitd by turns, in one run.
//!
//! `cargo run --release -p xmit-benches --bin udp_echo -- --rounds 7 --seconds 1`. Needs root, iproute2, ethtool and
//! util-linux. `docs/benchmarks.md` explains the figures.

use clap::{Args, Parser, Subcommand};
use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use xmit_benches::comparison::{self, WARM_UP};
use xmit_benches::contender::Load;
use xmit_benches::outcome::PACKETS;
use xmit_benches::variant::{Kind, Variant};
use xmit_benches::{echo, load};

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
    #[command(flatten)]
    common: comparison::Course,
    /// Datagrams under way at once.
    #[arg(long, value_delimiter = ',', default_value = "1,64")]
    windows: Vec<usize>,
    /// Bytes of payload, at least 16.
    #[arg(long, default_value_t = 64)]
    payload: usize,
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
        #[arg(long, default_value_t = 1)]
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
    let payload = plan.payload.to_string();
    let load = |window: &usize| {
        let window = window.to_string();
        let arguments = ["--window", &window, "--payload", &payload].map(str::to_owned).to_vec();
        Load { name: window, unit: PACKETS, arguments }
    };
    let loads: Vec<_> = plan.windows.iter().map(load).collect();
    let title = format!("UDP echo, {} bytes of payload", plan.payload);
    comparison::compare(&plan.common, &title, default_variants(), &loads, "")
}

fn default_variants() -> Vec<Variant> {
    let kernel = Variant::new("kernel", Kind::Kernel { batch: 1 });
    let batched = Variant::new("kernel, mmsg", Kind::Kernel { batch: 64 });
    vec![kernel, batched, Variant::new("xmitd", Kind::Xmitd)]
}
