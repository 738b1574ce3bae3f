//! What is not the daemon's stays the kernel's: a TCP connection, as of an operator by SSH, on the same interface goes on
//! whatever happens to the daemon, and no program stays attached behind it.

use std::net::SocketAddrV4;

use xmit_netns::require_root;

use crate::harness::{Lab, OURS, Program, SOON, Tcp, Traffic, ping, within};

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
        let load = Traffic::start(&lab.a, SocketAddrV4::new(OURS, 7));
        for _ in 0..10 {
            load.go_on(100);
            shell.go_on();
        }
        drop(load);
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
