//! More connections than a listener has room for.

use std::io::Write;
use std::time::Duration;

use super::ends::{Listening, Stream};
use super::places::Players;

/// How long a client that finds no room waits before it goes away: less than the second after which its SYN comes again.
const PATIENCE: Duration = Duration::from_millis(250);

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4;

/// Whoever finds no room gets no answer; those who wait are served, and then there is room again.
pub(super) fn overflow(players: &Players<'_>) {
    let listener = players.server.listen(Listening { backlog: BACKLOG, ..Listening::default() });
    let address = listener.address();
    let attempts = (0..BACKLOG + 4).map(|_| players.client.connect_timeout(address, PATIENCE).ok());
    let waiting: Vec<Stream> = attempts.flatten().collect();
    let room = BACKLOG as usize..=BACKLOG as usize + 2;
    assert!(room.contains(&waiting.len()), "{} wait with a backlog of {BACKLOG}", waiting.len());
    for client in waiting {
        served(client, listener.accept());
    }
    for _ in 0..BACKLOG {
        let (client, server) = players.connected_to(&listener);
        served(client, server);
    }
}

fn served(mut client: Stream, mut server: Stream) {
    client.write_all(b"?").unwrap();
    assert_eq!(server.exactly(1).unwrap(), b"?");
    server.write_all(b"!").unwrap();
    drop(server);
    assert_eq!(client.rest().unwrap(), b"!");
}
