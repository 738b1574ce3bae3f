//! The daemon's lists as tables, in the columns and words of `ip` and `ss`.

use xmitd::api::{Counters, Interface, Neighbor, Qdisc, Route, Socket};

use crate::table::{Table, or_hyphen};

/// One line a port, so that each obtained mode is seen; an interface without ports has one line as well.
pub fn interfaces(rows: &[Interface]) -> Table {
    let header = ["interface", "kind", "state", "mac", "mtu", "addresses", "queue", "lane", "mode"];
    let mut table = Table::new(&header);
    for row in rows {
        let state = if row.up { "UP" } else { "DOWN" };
        let mut addresses: Vec<String> =
            row.addresses.iter().map(|a| format!("{}/{}", a.address, a.prefix_len)).collect();
        if row.adopted {
            addresses.push("(the kernel's)".to_owned());
        }
        let addresses = addresses.join(" ");
        for port in &row.ports {
            table.row(&[
                &row.name,
                &row.kind,
                &state,
                &row.mac,
                &row.mtu,
                &addresses,
                &port.queue,
                &port.lane,
                &port.mode,
            ]);
        }
        if row.ports.is_empty() {
            table.row(&[&row.name, &row.kind, &state, &row.mac, &row.mtu, &addresses, &"-", &"-", &"-"]);
        }
    }
    table
}

/// One line a socket.
pub fn sockets(rows: &[Socket]) -> Table {
    let mut table =
        Table::new(&["proto", "state", "rx-queue", "tx-queue", "local", "remote", "lane", "pid", "counters"]);
    for row in rows {
        let remote = row.remote.map_or_else(|| "*:*".to_owned(), |remote| remote.to_string());
        let (rx, tx) = (&row.rx_queue_bytes, &row.tx_queue_bytes);
        let counters = nonzero(&row.counters);
        table.row(&[&row.protocol, &row.state, rx, tx, &row.local, &remote, &row.lane, &row.pid, &counters]);
    }
    table
}

/// One line a route.
pub fn routes(rows: &[Route]) -> Table {
    let mut table = Table::new(&["destination", "via", "interface", "source", "metric", "mtu", "origin"]);
    for row in rows {
        let destination = match row.prefix_len {
            0 => "default".to_owned(),
            bits => format!("{}/{bits}", row.destination),
        };
        let (via, source, mtu) = (or_hyphen(row.via), or_hyphen(row.source), or_hyphen(row.mtu));
        table.row(&[&destination, &via, &row.interface, &source, &row.metric, &mtu, &row.origin]);
    }
    table
}

/// One line a neighbour and lane.
pub fn neighbors(rows: &[Neighbor]) -> Table {
    let mut table = Table::new(&["address", "interface", "lane", "mac", "state", "waiting", "confirmed-s"]);
    for row in rows {
        let confirmed = or_hyphen(row.confirmed_ns.map(|age| format!("{:.1}", age as f64 / 1e9)));
        let mac = or_hyphen(row.mac.as_ref());
        table.row(&[&row.address, &row.interface, &row.lane, &mac, &row.state, &row.waiting, &confirmed]);
    }
    table
}

/// One line a band, the most urgent first.
pub fn qdisc(rows: &[Qdisc]) -> Table {
    let mut table = Table::new(&["interface", "lane", "kind", "band", "packets", "bytes", "limit", "counters"]);
    for row in rows {
        let counters = nonzero(&row.counters);
        for (number, band) in row.bands.iter().enumerate() {
            let counters = if number == 0 { counters.as_str() } else { "" };
            let (packets, bytes, limit) = (&band.packets, &band.bytes, &band.packets_max);
            table.row(&[&row.interface, &row.lane, &row.kind, &number, packets, bytes, limit, &counters]);
        }
        if row.bands.is_empty() {
            table.row(&[&row.interface, &row.lane, &row.kind, &"-", &"-", &"-", &"-", &counters]);
        }
    }
    table
}

/// `name=value` of the counters that counted something.
fn nonzero(counters: &Counters) -> String {
    let counted = counters.iter().filter(|(_, value)| **value != 0);
    counted.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use xmitd::api::Band;

    #[test]
    fn default_route_is_called_so() {
        let route = Route {
            destination: Ipv4Addr::UNSPECIFIED,
            prefix_len: 0,
            via: Some(Ipv4Addr::new(10, 77, 0, 1)),
            interface: "xb0".to_owned(),
            source: None,
            metric: 0,
            mtu: None,
            origin: "configuration".to_owned(),
        };
        let text = routes(&[route]).to_string();
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("default      10.77.0.1")), "{text}");
    }

    #[test]
    fn qdisc_shows_every_band_and_its_counters_once() {
        let bands = [3, 0, 0].map(|packets| Band { packets, bytes: packets * 60, packets_max: 1000 }).to_vec();
        let counters = Counters::from([("sent".to_owned(), 9), ("requeued".to_owned(), 0)]);
        let row = Qdisc { interface: "xb0".to_owned(), lane: 0, kind: "pfifo_fast".to_owned(), bands, counters };
        let text = qdisc(&[row]).to_string();
        assert_eq!(text.lines().count(), 4);
        assert_eq!(text.matches("sent=9").count(), 1, "{text}");
        assert!(!text.contains("requeued"));
    }
}
