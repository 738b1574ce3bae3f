//! What of AF_XDP works on one interface: the modes, each tried for a moment by the daemon's own code.

use xmit_nic::xdp::{Report, Support, probe};

use crate::doctor::Finding;

/// Tries everything on an interface of this network namespace.
pub fn examine(name: &str) -> Vec<Finding> {
    match probe(name) {
        Ok(report) => findings(name, &report),
        Err(error) => vec![missing(name, &error.to_string())],
    }
}

fn findings(name: &str, report: &Report) -> Vec<Finding> {
    let mut findings = vec![socket(name, report), program(name, report)];
    let wishes = [
        ("a program that detaches when the daemon dies", &report.bpf_link),
        ("zero-copy", &report.zero_copy),
        ("need-wakeup", &report.need_wakeup),
        ("preferred busy polling", &report.busy_poll),
    ];
    for (wish, support) in wishes {
        findings.push(match support {
            Support::Yes => Finding::good(name, format!("It offers {wish}.")),
            Support::No(why) => {
                let cure = "Nothing need be done; xmitd goes on without, more slowly.";
                Finding::lacking(name, format!("It does not offer {wish}: {}", sentence(why)), cure)
            }
        });
    }
    if report.unfinished_checksums == Some(true) {
        let found = "Its peer sends unfinished checksums, which AF_XDP here sees as wrong.";
        findings.push(Finding::lacking(name, found, "At the peer: ethtool -K DEV tx off"));
    }
    findings
}

fn socket(name: &str, report: &Report) -> Finding {
    match &report.copy {
        Support::Yes => Finding::good(name, "An AF_XDP socket opens on its first queue."),
        Support::No(why) => missing(name, why),
    }
}

fn program(name: &str, report: &Report) -> Finding {
    match (&report.native, &report.generic) {
        (Support::Yes, _) => Finding::good(name, "Its driver runs XDP programs (native mode)."),
        (Support::No(why), Support::Yes) => Finding::lacking(
            name,
            format!("XDP programs run in the network core only (generic mode): {}", sentence(why)),
            "Use a card whose driver has XDP, if speed matters.",
        ),
        (_, Support::No(why)) => missing(name, why),
    }
}

/// What keeps an interface from being used at all.
fn missing(name: &str, why: &str) -> Finding {
    Finding::missing(
        name,
        sentence(why),
        "See above for what this user and kernel lack; otherwise use another interface.",
    )
}

fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use xmit_netns::{Netns, VethOptions, require_root, veth};

    #[test]
    fn interface_that_is_not_there_is_missing() {
        let findings = examine("no-such-if");
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].verdict, Verdict::Missing);
    }

    #[test]
    fn veth_opens_a_socket_and_runs_native_programs() {
        require_root!("veth_opens_a_socket_and_runs_native_programs");
        let (a, b) = (Netns::new("modes").unwrap(), Netns::new("modes").unwrap());
        veth(&a, "ma", &b, "mb", VethOptions::default()).unwrap();
        let findings = a.run(|| examine("ma")).unwrap();
        assert!(findings.iter().all(|finding| finding.verdict != Verdict::Missing), "{findings:?}");
        let said = |words: &str| findings.iter().any(|finding| finding.found.contains(words));
        assert!(said("socket opens") && said("native mode") && said("not offer zero-copy"), "{findings:?}");
    }
}
