//! Nobody there, or nobody who answers.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use super::ends::Stream;
use super::places::{NOBODY, Players};
use xmit_shared::clock::monotonic;

/// A port without a listener says so, also one whose listener has gone.
pub(super) fn refused(players: &Players<'_>) {
    let (listener, address) = players.listen();
    drop(players.connected_to(&listener));
    drop(listener);
    for _ in 0..3 {
        assert_eq!(players.client.connect(address).err().map(|error| error.kind()), Some(ErrorKind::ConnectionRefused));
    }
}

/// An address that does not answer: the call's own limit ends it, or `TCP_USER_TIMEOUT`, or `TCP_SYNCNT`.
pub(super) fn timed_out(players: &Players<'_>) {
    let nobody = SocketAddr::from((NOBODY, 7));
    let limit = Duration::from_millis(300);
    let host = &players.client;
    let check = |latest: u64, attempt: &dyn Fn() -> io::Result<Stream>| {
        let start = monotonic();
        let outcome = attempt().err().map(|error| error.kind());
        let took = monotonic().saturating_since(start);
        assert_eq!(outcome, Some(ErrorKind::TimedOut), "after {took:?}");
        assert!((limit..Duration::from_secs(latest)).contains(&took), "{took:?}");
    };
    check(2, &|| host.connect_timeout(nobody, limit));
    // The first retransmission, at one second, may be what looks at the limit.
    check(4, &|| host.connect_user_timeout(nobody, limit));
    // One second and two; Linux repeats the first few every second since 6.5.
    check(9, &|| host.connect_syn_count(nobody));
}
