//! Starts that fail: one sentence with the cure, exit code 1, and nothing changed on the system.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use xmit_netns::require_root;

use crate::harness::{Daemon, Lab, NOBODY, OURS, ping, until};

/// No program and no socket is left.
fn untouched(lab: &Lab) {
    assert!(!lab.has_xdp() && !lab.session_socket().exists() && !lab.path("operator.sock").exists());
}

#[test]
fn a_bad_configuration() {
    require_root!("a_bad_configuration");
    let lab = Lab::new("config");
    for (config, complaint) in [
        (
            Lab::OWN.replace("addresses", "adresses"),
            "xmit.toml:8:1: unknown field `adresses`; did you mean `addresses`?",
        ),
        (Lab::OWN.replace("xb", "xc"), "xmit.toml:7:8: the kernel has no interface xc; did you mean `xb`?"),
        (Lab::OWN.replace("core = 0", "core = 9999"), "xmit.toml:5:"),
        (Lab::OWN.replace("/24", "/33"), "xmit.toml:8:"),
    ] {
        let said = Daemon::refused(&lab, &lab.configure(&config));
        println!("{said}");
        assert!(said.contains(complaint), "{said}");
        untouched(&lab);
    }
    let said = Daemon::refused(&lab, &lab.path("missing.toml"));
    println!("{said}");
    assert!(said.contains("missing.toml"), "{said}");
}

#[test]
fn a_queue_that_another_daemon_has() {
    require_root!("a_queue_that_another_daemon_has", "ping");
    let lab = Lab::new("taken");
    let first = lab.own_daemon();
    let (session, operator) = (lab.path("second-session.sock"), lab.path("second-operator.sock"));
    let second = lab.configure_as("second.toml", &session, &operator, &Lab::OWN.replace("0.2/", "0.4/"));
    let said = Daemon::refused(&lab, &second);
    println!("{said}");
    assert!(said.contains("xb"), "{said}");
    assert!(!session.exists() && !operator.exists());
    assert!(lab.has_xdp(), "the first one's");
    ping(&lab.a, OURS).unwrap();
    first.stop();
    Daemon::refused(&lab, &lab.path("missing.toml"));
    untouched(&lab);
}

#[test]
fn a_user_without_rights() {
    require_root!("a_user_without_rights");
    let lab = Lab::new("nobody");
    // Where it was built, others may not read.
    let program = lab.path("xmitd");
    std::fs::copy(env!("CARGO_BIN_EXE_xmitd"), &program).unwrap();
    let config = lab.configure(Lab::OWN);
    let start = || {
        let mut command = Command::new(&program);
        command.arg("--config").arg(&config).stderr(Stdio::piped()).uid(NOBODY).gid(NOBODY);
        Daemon::fail(lab.b.run(|| command.spawn()).unwrap().unwrap())
    };
    let said = start();
    println!("{said}");
    assert!(said.contains("run xmitd as root"), "{said}");
    chown(lab.path(""), Some(NOBODY), Some(NOBODY)).unwrap();
    let said = start();
    println!("{said}");
    assert!(said.contains("root") || said.contains("CAP_"), "{said}");
    untouched(&lab);
}

#[test]
fn an_interface_that_is_down_is_waited_for() {
    require_root!("an_interface_that_is_down_is_waited_for", "ping");
    let lab = Lab::new("down");
    lab.b.command("ip link set xb down").unwrap();
    let mut daemon = lab.own_daemon();
    assert!(daemon.log().contains("xb is down: `ip link set xb up` starts it"), "{}", daemon.log());
    lab.b.command("ip link set xb up").unwrap();
    ping(&lab.a, OURS).unwrap();
    until("the daemon answered", || daemon.snmp("IcmpInEchos") >= 3);
    daemon.stop();
}
