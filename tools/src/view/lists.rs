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
        Table::new(&["proto", "state", "recv-q", "send-q", "local", "remote", "lane", "pid", "timer", "counters"]);
    for row in rows {
        let remote = row.remote.map_or_else(|| "*:*".to_owned(), |remote| remote.to_string());
        let (timer, counters) = (or_hyphen(row.timer.as_ref()), nonzero(&row.counters));
        table.row(&[
            &row.protocol,
            &row.state,
            &row.receive_queue,
            &row.send_queue,
            &row.local,
            &remote,
            &row.lane,
            &row.pid,
            &timer,
            &counters,
        ]);
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
    let mut table = Table::new(&["address", "interface", "lane", "mac", "state", "waiting"]);
    for row in rows {
        let mac = or_hyphen(row.mac.as_ref());
        table.row(&[&row.address, &row.interface, &row.lane, &mac, &row.state, &row.waiting]);
    }
    table
}

/// One line a port's discipline.
pub fn qdisc(rows: &[Qdisc]) -> Table {
    let mut table = Table::new(&["interface", "lane", "kind", "backlog", "limit", "counters"]);
    for row in rows {
        let counters = nonzero(&row.counters);
        table.row(&[&row.interface, &row.lane, &row.kind, &row.backlog, &row.limit, &counters]);
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
    fn qdisc_shows_what_counted() {
        let counters = Counters::from([("packets".to_owned(), 9), ("requeues".to_owned(), 0)]);
        let kind = "pfifo_fast".to_owned();
        let row = Qdisc { interface: "xb0".to_owned(), lane: 0, kind, backlog: 3, limit: 1000, counters };
        let text = qdisc(&[row]).to_string();
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("packets=9") && !text.contains("requeues"), "{text}");
    }
}
