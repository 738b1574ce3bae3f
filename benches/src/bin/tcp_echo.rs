//! TCP servers over a veth pair, on kernel sockets and on xmitd by turns, in one run: requests, connections and bulk.
//!
//! `cargo run --release -p xmit-benches --bin tcp_echo -- --rounds 7 --seconds 1`. Needs root, iproute2, ethtool and
//! util-linux. `docs/benchmarks.md` explains the figures.

use clap::{Args, Parser};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use xmit_benches::comparison;
use xmit_benches::roles::{self, Measurement, Role};
use xmit_benches::tcp::server::{self, Service};
use xmit_benches::tcp::{REQUEST_BYTES, Scenario, load, raise_descriptor_limit};
use xmit_benches::variant::{Kind, Variant};

/// A server of a thousand connections, and slots that listeners keep in stock.
const CONFIGURATION: &str = "[client]\nsockets_max = 4096\nmemory = \"4GiB\"\n";

#[derive(Parser)]
#[command(about = "TCP servers over a veth pair, on kernel sockets and on xmitd by turns")]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role<Load>>,
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

#[derive(Args)]
struct Load {
    #[arg(long)]
    scenario: Scenario,
}

fn main() -> ExitCode {
    let Arguments { role, plan } = Arguments::parse();
    roles::exit("tcp_echo", role.map_or_else(|| compare(&plan), play))
}

fn play(role: Role<Load>) -> Result<(), Box<dyn Error>> {
    match role {
        Role::Load(load) => load.run(|&Load { scenario }, Measurement { to, warm_up, duration }| {
            load::run(&load::Load { to, scenario, warm_up, duration })
        }),
        Role::KernelEcho(_) => {
            raise_descriptor_limit();
            let everywhere = |(service, port)| (service, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
            Ok(server::on_kernel(&Service::ALL.map(everywhere), |_| roles::ready())?)
        }
        Role::XmitEcho(server) => Ok(server::on_xmit(&server.session()?, roles::ready)?),
    }
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
