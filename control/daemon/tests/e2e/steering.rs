//! What is not the daemon's stays the kernel's: a TCP connection, as of an operator by SSH, on the same interface goes on
//! whatever happens to the daemon, and no program stays attached behind it.

use std::net::SocketAddrV4;

use xmit_netns::require_root;

use crate::harness::{Card, Lab, OURS, Program, SOON, Stream, Tcp, Timing, Traffic, ping, within};

const SHELL: &str = "10.77.0.3:22";

#[test]
fn a_connection_of_the_kernel_outlives_the_daemon() {
    require_root!("a_connection_of_the_kernel_outlives_the_daemon", "ping");
    let lab = Lab::new("steer");
    lab.b.command("ip addr add 10.77.0.3/24 dev xb").unwrap();
    let mut shell = Tcp::connect(&lab.a, &lab.b, SHELL.parse().unwrap());
    shell.go_on();
    for _ in 0..2 {
        let mut daemon = lab.own_daemon();
        assert!(lab.has_xdp());
        shell.go_on();
        ping(&lab.a, OURS).unwrap();
        let mut echo = Program::start(&lab, "echo 10.77.0.2:7");
        assert_eq!(echo.line(), "bound");
        let echoed = SocketAddrV4::new(OURS, 7);
        let (load, more) = (Traffic::start(&lab.a, echoed), [0; 4].map(|_| Stream::start(&lab.a, echoed)));
        for _ in 0..10 {
            load.go_on(100);
            shell.go_on();
        }
        drop((load, more));
        daemon.kill();
        shell.go_on();
        within(SOON, "the killed daemon's program is gone", || !lab.has_xdp());
        shell.go_on();
    }
    let daemon = lab.own_daemon();
    ping(&lab.a, OURS).unwrap();
    shell.go_on();
    daemon.stop();
    assert!(!lab.has_xdp() && !lab.session_socket().exists());
    shell.go_on();
}

#[test]
fn a_killed_daemon_is_replaced_at_once() {
    require_root!("a_killed_daemon_is_replaced_at_once", "ping");
    let lab = Lab::new("again");
    for _ in 0..5 {
        let mut daemon = lab.own_daemon();
        ping(&lab.a, OURS).unwrap();
        daemon.kill();
        let next = lab.own_daemon();
        ping(&lab.a, OURS).unwrap();
        next.stop();
    }
}

#[test]
fn a_card_on_the_interface_disturbs_nobody() {
    require_root!("a_card_on_the_interface_disturbs_nobody", "ping");
    let lab = Lab::new("card");
    lab.b.command("ip addr add 10.77.0.3/24 dev xb").unwrap();
    let mut shell = Tcp::connect(&lab.a, &lab.b, SHELL.parse().unwrap());
    for _ in 0..2 {
        let mut daemon = lab.card_daemon(Card { timing: Timing::Wire, tap: false, peer_is_card: false });
        ping(&lab.a, OURS).unwrap();
        shell.go_on();
        daemon.kill();
        within(SOON, "the killed daemon's program is gone", || !lab.has_xdp());
        shell.go_on();
    }
}

#[test]
fn a_tap_goes_with_its_daemon() {
    require_root!("a_tap_goes_with_its_daemon", "ping");
    let lab = Lab::new("tap");
    let card = Card { timing: Timing::FreeRun, tap: true, peer_is_card: false };
    for _ in 0..2 {
        let mut daemon = lab.card_daemon(card);
        ping(&lab.b, OURS).unwrap();
        daemon.kill();
        within(SOON, "the tap is gone", || lab.b.command("ip link show dev xm0").is_err());
    }
    lab.card_daemon(card).stop();
    assert!(lab.b.command("ip link show dev xm0").is_err());
}
