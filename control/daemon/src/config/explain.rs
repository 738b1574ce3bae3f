//! What a configuration would do, in sentences: the answer of `xmitd --check`.

use super::{ByteSize, Client, Config, Interface, Join, Kind, Lane, Span, Tcp, Timing, XdpMode, ZeroCopy};

/// One sentence or two for each lane, interface, route and neighbour, in the order of the file.
pub fn explain(config: &Config) -> Vec<String> {
    let daemon = &config.daemon;
    let mut lines = vec![format!(
        "Clients connect to {}, operators' tools to {}; the log is `{}`.",
        daemon.session_socket.display(),
        daemon.operator_socket.display(),
        daemon.log
    )];
    lines.extend(config.lanes.iter().enumerate().map(|(index, lane)| explain_lane(index, lane)));
    lines.extend(config.interfaces.iter().map(explain_interface));
    for route in &config.routes {
        let via = route.via.map(|via| format!(" via {via}")).unwrap_or_default();
        let device = route.interface.as_ref().map(|name| format!(" by {name}")).unwrap_or_default();
        lines.push(format!("Packets to {} go{via}{device}.", route.destination));
    }
    for neighbor in &config.neighbors {
        lines.push(format!("{} on {} is at {}; nobody is asked.", neighbor.address, neighbor.interface, neighbor.mac));
    }
    lines.push(explain_client(&config.client));
    lines.push(explain_tcp(&config.tcp));
    lines
}

fn explain_lane(index: usize, lane: &Lane) -> String {
    let memory = ByteSize(u64::from(lane.frames) * lane.frame_size.0);
    let pages = if lane.hugepages { "huge" } else { "ordinary" };
    let idle = match lane.spin {
        Span(spin) if spin.is_zero() => "sleeps as soon as it finds nothing to do".to_owned(),
        spin => format!("sleeps after {spin} without work"),
    };
    let polling = if lane.busy_poll.0.is_zero() {
        String::new()
    } else {
        format!(", polls its NICs busily for {} at a time", lane.busy_poll)
    };
    format!(
        "Lane {index} runs on core {} with {} frames of {} ({memory} of {pages} pages){polling}, and {idle}.",
        lane.core, lane.frames, lane.frame_size
    )
}

fn explain_interface(interface: &Interface) -> String {
    let ports: Vec<_> = interface.ports().iter().map(|(q, l)| format!("queue {q} by lane {l}")).collect();
    let nature = match interface.kind {
        Kind::AfXdp => explain_af_xdp(interface),
        Kind::El3c501 => explain_el3c501(interface),
        Kind::Tap => format!("a tap that is made at start, {}", interface.station_address()),
    };
    let addresses = match &interface.addresses {
        None => "It adopts the kernel's addresses and takes only the ports that clients open; ping, ARP, SSH and \
                 everything else stay with the kernel."
            .to_owned(),
        Some(list) => {
            let list: Vec<_> = list.iter().map(ToString::to_string).collect();
            let rest = if interface.kind == Kind::AfXdp { "; all other packets stay with the kernel" } else { "" };
            format!("It answers for {} itself{rest}.", list.join(", "))
        }
    };
    let gateway = interface.gateway.map(|g| format!(" Packets to elsewhere go via {g}.")).unwrap_or_default();
    let lenient = if interface.accept_unfinished_checksums {
        " Unfinished transport checksums are taken as good: corrupted packets may reach clients."
    } else {
        ""
    };
    let broadcasts = if interface.broadcasts { " The kernel no longer sees IPv4 broadcasts on it." } else { "" };
    let vlan = interface.vlan.map(|vid| format!(" It lives in VLAN {vid}.")).unwrap_or_default();
    let rest = format!("{addresses}{vlan}{gateway}{broadcasts}{lenient}");
    format!("{} is {nature}, served {}. {rest}", interface.name, ports.join(", "))
}

fn explain_af_xdp(interface: &Interface) -> String {
    let mode = match interface.mode {
        XdpMode::Auto => "native XDP where the driver has it, else generic",
        XdpMode::Native => "native XDP or nothing",
        XdpMode::Generic => "generic XDP",
    };
    let copy = match interface.zero_copy {
        ZeroCopy::Auto => "zero-copy where the driver has it, else copy",
        ZeroCopy::On => "zero-copy or nothing",
        ZeroCopy::Off => "copy",
    };
    format!("taken through AF_XDP ({mode}; {copy})")
}

fn explain_el3c501(interface: &Interface) -> String {
    let Some(card) = &interface.el3c501 else { return "a 3C501".to_owned() };
    let timing = match card.timing {
        Timing::Wire => "at 10 Mbit/s",
        Timing::FreeRun => "free-running",
    };
    let parity = if card.parity { ", with the old driver's faults" } else { "" };
    let join = match &card.join {
        None => String::new(),
        Some(Join::AfXdp(name)) => format!(" joined to {name} through AF_XDP"),
        Some(Join::Tap(name)) => format!(" joined to the tap {name}"),
    };
    let mac = interface.station_address();
    format!("an emulated 3C501 {timing}{parity}, {mac}, on segment {}{join}", card.segment)
}

fn explain_client(client: &Client) -> String {
    let ids = |list: &Option<Vec<u32>>, what| list.as_ref().map(|ids| format!("{what} {ids:?}"));
    let who: Vec<_> =
        [ids(&client.allowed_uids, "users"), ids(&client.allowed_gids, "groups")].into_iter().flatten().collect();
    let who = if who.is_empty() { "Everybody".to_owned() } else { format!("Only {}", who.join(" and ")) };
    let rate = match client.packets_per_second {
        0 => String::new(),
        rate => format!(" and {rate} packets a second"),
    };
    format!(
        "{who} may connect: up to {} clients, each with up to {} sockets of two rings of {}, {} in all{rate}.",
        client.sessions_max, client.sockets_max, client.ring, client.memory
    )
}

fn explain_tcp(tcp: &Tcp) -> String {
    let cookies = match tcp.syncookies {
        0 => "never",
        1 => "when a queue is full",
        _ => "always",
    };
    format!(
        "A lane carries up to {} TCP connections by {}, buffers of up to {} and {}; SYN cookies are sent {cookies}.",
        tcp.connections_max, tcp.congestion_control, tcp.rmem_max, tcp.wmem_max
    )
}
