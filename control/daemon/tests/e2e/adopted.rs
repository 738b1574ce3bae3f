//! An interface without addresses of the daemon's own: the kernel keeps its addresses, its ping and its TCP, and the daemon
//! gets the ports that its clients opened. What `ip` changes is followed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use xmit_netns::{Netns, require_root};

use crate::harness::{Daemon, HOST, LIMIT, Lab, Tcp, again, ping, until};

/// The kernel's address on the daemon's interface.
const SHARED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);

fn lab(name: &str) -> (Lab, Daemon) {
    let lab = Lab::new(name);
    lab.b.command(&format!("ip addr add {SHARED}/24 dev xb")).unwrap();
    let daemon = lab.daemon(Lab::ADOPTED);
    (lab, daemon)
}

/// A kernel socket of `netns` at `local`, connected to `peer`.
fn kernel(netns: &Netns, local: Ipv4Addr, peer: SocketAddrV4) -> UdpSocket {
    let socket = netns.run(|| UdpSocket::bind((local, 0))).unwrap().unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    netns.run(|| socket.connect(peer)).unwrap().unwrap();
    socket
}

fn bind(session: &xmit::Session, address: SocketAddrV4) -> xmit::UdpSocket {
    let socket = xmit::UdpSocket::bind_in(session, address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

/// A datagram goes there and back.
fn exchange(kernel: &UdpSocket, ours: &xmit::UdpSocket) {
    let mut buffer = [0; 64];
    kernel.send(b"question").unwrap();
    let (len, peer) = ours.recv_from(&mut buffer).unwrap();
    ours.send_to(&buffer[..len], peer).unwrap();
    assert_eq!(again(|| kernel.recv(&mut buffer)).unwrap(), 8);
}

#[test]
fn the_kernel_keeps_what_no_client_opened() {
    require_root!("the_kernel_keeps_what_no_client_opened", "ping");
    let (lab, mut daemon) = lab("adopt");
    ping(&lab.a, SHARED).unwrap();
    let mut shell = Tcp::connect(&lab.a, &lab.b, "10.77.0.3:22".parse().unwrap());
    shell.go_on();
    let port = SocketAddrV4::new(SHARED, 7);
    let asker = kernel(&lab.a, HOST, port);
    let refused = || {
        asker
            .send(b"?")
            .and_then(|_| again(|| asker.recv(&mut [0; 8])))
            .is_err_and(|e| e.raw_os_error() == Some(libc::ECONNREFUSED))
    };
    assert!(refused(), "by the kernel");
    assert_eq!(daemon.snmp("IpInReceives"), 0);

    let session = lab.session();
    let ours = bind(&session, port);
    // An answer of the kernel, that nobody is there, would end one of these.
    (0..100).for_each(|_| exchange(&asker, &ours));
    until("all are counted", || (daemon.snmp("UdpInDatagrams"), daemon.snmp("UdpOutDatagrams")) == (100, 100));
    shell.go_on();
    ping(&lab.a, SHARED).unwrap();
    drop(ours);
    // A question that comes before the port is closed is not answered by anybody.
    asker.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    until("the port is the kernel's again", refused);
    assert_eq!((daemon.snmp("UdpNoPorts"), daemon.snmp("IcmpInEchos")), (0, 0));
    daemon.stop();
    shell.go_on();
}

#[test]
fn connections_are_the_daemons_and_all_others_the_kernels() {
    require_root!("connections_are_the_daemons_and_all_others_the_kernels");
    let (lab, daemon) = lab("adopt-tcp");
    let mut shell = Tcp::connect(&lab.a, &lab.b, "10.77.0.3:22".parse().unwrap());
    let session = lab.session();
    let theirs = lab.a.run(|| std::net::TcpListener::bind((HOST, 80))).unwrap().unwrap();
    // Each from a port that is steered before its SYN leaves: the kernel would reset it.
    for _ in 0..20 {
        let mut ours = xmit::TcpStream::connect_in(&session, (HOST, 80)).unwrap();
        let (mut accepted, peer) = theirs.accept().unwrap();
        assert_eq!(peer.ip(), SHARED);
        ours.write_all(b"question").unwrap();
        let mut buffer = [0; 8];
        accepted.read_exact(&mut buffer).unwrap();
        accepted.write_all(&buffer).unwrap();
        ours.read_exact(&mut buffer).unwrap();
    }
    let listener = xmit::TcpListener::bind_in(&session, (SHARED, 7)).unwrap();
    let mut asker = lab.a.run(|| std::net::TcpStream::connect((SHARED, 7))).unwrap().unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    // The port stays ours while its connection lives.
    drop(listener);
    accepted.write_all(b"welcome!").unwrap();
    let mut buffer = [0; 8];
    asker.read_exact(&mut buffer).unwrap();
    drop((asker, accepted));
    let refused = || {
        let again = lab.a.run(|| std::net::TcpStream::connect((SHARED, 7))).unwrap();
        again.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    until("nobody listens", refused);
    shell.go_on();
    daemon.stop();
    shell.go_on();
}

#[test]
fn addresses_and_routes_are_followed() {
    require_root!("addresses_and_routes_are_followed");
    let (lab, mut daemon) = lab("follow");
    let session = lab.session();
    let new = Ipv4Addr::new(10, 77, 0, 4);
    let errno = |result: std::io::Result<xmit::UdpSocket>| result.err().and_then(|error| error.raw_os_error());
    assert_eq!(errno(xmit::UdpSocket::bind_in(&session, (new, 7))), Some(libc::EADDRNOTAVAIL));
    lab.b.command("ip addr add 10.77.0.4/24 dev xb").unwrap();
    until("the new address", || {
        daemon.operator().interfaces().unwrap()[0].addresses.iter().any(|address| address.address == new)
    });
    exchange(&kernel(&lab.a, HOST, SocketAddrV4::new(new, 7)), &bind(&session, SocketAddrV4::new(new, 7)));
    lab.b.command("ip addr del 10.77.0.4/24 dev xb").unwrap();
    until("the address is gone", || daemon.operator().interfaces().unwrap()[0].addresses.len() == 1);
    assert_eq!(errno(xmit::UdpSocket::bind_in(&session, (new, 8))), Some(libc::EADDRNOTAVAIL));

    lab.a.command("ip addr add 10.9.0.1/32 dev lo").unwrap();
    let ours = bind(&session, SocketAddrV4::new(SHARED, 7));
    let far = kernel(&lab.a, Ipv4Addr::new(10, 9, 0, 1), SocketAddrV4::new(SHARED, 7));
    let unreachable = || {
        ours.send_to(b"?", far.local_addr().unwrap()).unwrap_or(0);
        ours.take_error().unwrap().is_some_and(|error| error.raw_os_error() == Some(libc::ENETUNREACH))
    };
    until("no route", unreachable);
    lab.b.command(&format!("ip route add 10.9.0.0/24 via {HOST}")).unwrap();
    let has_route = |daemon: &mut Daemon| daemon.operator().routes().unwrap().iter().any(|r| r.via == Some(HOST));
    until("the route", || has_route(&mut daemon));
    while ours.take_error().unwrap().is_some() {}
    exchange(&far, &ours);
    lab.b.command("ip route del 10.9.0.0/24").unwrap();
    until("the route is gone", || !has_route(&mut daemon));
    until("no route again", unreachable);
    daemon.stop();
}

#[test]
fn neighbours_are_followed() {
    require_root!("neighbours_are_followed");
    let (lab, mut daemon) = lab("neigh");
    let session = lab.session();
    let address = SocketAddrV4::new(SHARED, 7);
    let (ours, asker) = (bind(&session, address), kernel(&lab.a, HOST, address));
    exchange(&asker, &ours);
    // The host gets another station address, and the daemon's kernel is told.
    let new = "02:00:00:00:aa:01";
    lab.a.command(&format!("ip link set xa address {new}")).unwrap();
    lab.b.command(&format!("ip neigh replace {HOST} lladdr {new} nud permanent dev xb")).unwrap();
    let knows = |daemon: &mut Daemon, state: &str| {
        let rows = daemon.operator().neighbors().unwrap();
        rows.iter().any(|row| row.address == HOST && row.mac.as_deref() == Some(new) && row.state == state)
    };
    until("the new neighbour", || knows(&mut daemon, "PERMANENT"));
    exchange(&asker, &ours);
    daemon.stop();
}
