//! UDP echo by one client over a veth pair: kernel sockets and xmitd by turns, in one run.
//!
//! `cargo run --release -p xmit-benches --bin udp_echo -- --rounds 7 --seconds 1`. Needs root, iproute2, ethtool and
//! util-linux. `docs/benchmarks.md` explains the figures.

use clap::{Args, Parser};
use std::error::Error;
use std::net::UdpSocket;
use std::process::ExitCode;
use xmit_benches::comparison;
use xmit_benches::contender::Load;
use xmit_benches::outcome::PACKETS;
use xmit_benches::roles::{self, KernelEcho, Measurement, Role};
use xmit_benches::variant::{Kind, Variant};
use xmit_benches::{echo, load};

#[derive(Parser)]
#[command(about = "UDP echo over a veth pair: kernel sockets and xmitd by turns")]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role<Window>>,
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

#[derive(Args)]
struct Window {
    #[arg(long)]
    window: usize,
    #[arg(long)]
    payload: usize,
}

fn main() -> ExitCode {
    let Arguments { role, plan } = Arguments::parse();
    roles::exit("udp_echo", role.map_or_else(|| compare(&plan), play))
}

fn play(role: Role<Window>) -> Result<(), Box<dyn Error>> {
    match role {
        Role::Load(load) => load.run(|&Window { window, payload }, Measurement { to, warm_up, duration }| {
            load::run(&load::Load { to, window, payload, warm_up, duration })
        }),
        Role::KernelEcho(KernelEcho { port, batch }) => {
            let socket = UdpSocket::bind(("0.0.0.0", port))?;
            roles::ready();
            Ok(echo::kernel(&socket, batch)?)
        }
        Role::XmitEcho(server) => Ok(echo::xmit(&server.session()?, server.port, roles::ready)?),
    }
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
