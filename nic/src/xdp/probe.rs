//! What of AF_XDP works on an interface, found out by trying, for `xmit doctor`.
//!
//! Every trial undoes itself: programs are detached and sockets closed before the next one. Trying is for real, so a
//! queue that a daemon holds is reported as taken, and a NIC that restarts when an XDP program is attached pauses for
//! as long as it takes. May wait two seconds for a taken queue. Control side only.

use super::error::XdpError;
use super::interface::Interface;
use super::options::{BusyPoll, CopyWish, PortOptions};
use super::rings::Rings;
use super::steering::{ModeWish, Steering};
use super::umem::LaneUmem;

/// The answer of one trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// It worked.
    Yes,
    /// It did not, and why, with the cure.
    No(String),
}

impl Support {
    /// True if it worked.
    pub fn is_yes(&self) -> bool {
        *self == Self::Yes
    }
}

impl<T> From<Result<T, XdpError>> for Support {
    fn from(result: Result<T, XdpError>) -> Self {
        match result {
            Ok(_) => Self::Yes,
            Err(e) => Self::No(e.to_string()),
        }
    }
}

/// What works on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The interface, its number of queues included.
    pub interface: Interface,
    /// An XDP program in the driver.
    pub native: Support,
    /// An XDP program in the network core.
    pub generic: Support,
    /// Attaching by a BPF link, which the kernel undoes when the process dies.
    pub bpf_link: Support,
    /// An AF_XDP socket at all, in copy mode, on queue 0.
    pub copy: Support,
    /// One in zero-copy mode.
    pub zero_copy: Support,
    /// The need-wakeup flag.
    pub need_wakeup: Support,
    /// Preferred busy polling.
    pub busy_poll: Support,
    /// A UMEM of 2 MiB pages.
    pub hugepages: Support,
    /// Packets arrive with transport checksums that the sender never finished, as over a veth whose other end has its
    /// transmit offload on (`ethtool -K DEV tx off` there). `None` if the sender cannot be asked from here.
    pub unfinished_checksums: Option<bool>,
}

/// Tries everything on `interface` of the calling thread's network namespace.
///
/// # Errors
/// [`XdpError::NoSuchInterface`], or no permission to ask; what merely does not work stands in the report.
pub fn probe(interface: &str) -> Result<Report, XdpError> {
    let interface = Interface::find(interface)?;
    let name = interface.name.as_str();
    let generic = Steering::attach(name, ModeWish::Generic).map(drop);
    // Kept attached for the sockets' trials: some drivers do zero-copy only below a program.
    let native = Steering::attach(name, ModeWish::Native);
    let bpf_link = match (&native, &generic) {
        (Ok(_), _) | (_, Ok(())) => Support::Yes,
        (_, Err(e)) => Support::No(e.to_string()),
    };
    let plain = PortOptions { zero_copy: CopyWish::Never, need_wakeup: false, ..PortOptions::default() };
    let copy = open(name, &plain);
    // Whatever keeps a plain socket from opening keeps the others too; they are not tried again.
    let beyond = |trial: &dyn Fn() -> Support| match &copy {
        Support::Yes => trial(),
        Support::No(why) => Support::No(why.clone()),
    };
    Ok(Report {
        zero_copy: beyond(&|| open(name, &PortOptions { zero_copy: CopyWish::Force, ..plain })),
        need_wakeup: beyond(&|| open(name, &PortOptions { need_wakeup: true, ..plain })),
        busy_poll: beyond(&|| {
            open(name, &PortOptions { busy_poll: Some(BusyPoll { micros: 20, budget: 64 }), ..plain })
        }),
        hugepages: LaneUmem::new(0, 1, 2048, true).map(drop).into(),
        unfinished_checksums: interface.unfinished_checksums(),
        native: native.map(drop).into(),
        generic: generic.into(),
        bpf_link,
        copy,
        interface,
    })
}

/// Opens and closes a socket of its own UMEM on queue 0.
fn open(interface: &str, options: &PortOptions) -> Support {
    let opened = LaneUmem::new(0, 64, 2048, false).and_then(|(umem, _pool)| {
        let rings = Rings::open(&umem, interface, 0, options)?;
        match options.busy_poll.map(|wish| rings.busy_poll(wish)) {
            Some(Err(e)) => Err(XdpError::kernel("poll busily (SO_PREFER_BUSY_POLL needs Linux 5.11)", e)),
            Some(Ok(())) | None => Ok(()),
        }
    });
    opened.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_interface_is_an_error_not_a_report() {
        assert!(matches!(probe("no-such-if"), Err(XdpError::NoSuchInterface { .. })));
    }
}
