//! A reader that stops closes the window; when it goes on, nothing is missing.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use super::bulk::{Content, read};
use super::ends::Listening;
use super::places::Players;
use crate::harness::LIMIT;

/// How long a writer waits for room until it believes that there is none. Longer than the first probe of the window.
const STUCK: Duration = Duration::from_millis(700);

/// What either end holds: little, so that a slow wire carries it in a moment.
const BUFFER: u32 = 32 << 10;

/// The server stops reading, with a small buffer.
pub(super) fn zero_window(players: &Players<'_>) {
    const SEED: u64 = 5;
    let listener = players.server.listen(Listening { receive_buffer: Some(BUFFER), ..Listening::default() });
    let (mut client, server) = players.connected_to(&listener);
    let (mut content, mut written) = (Content::new(SEED), 0);
    client.set_timeouts(STUCK);
    client.set_send_buffer(BUFFER);
    let mut chunk = Vec::new();
    loop {
        if chunk.is_empty() {
            chunk = content.next(10_000);
        }
        match client.write(&chunk) {
            Ok(len) => {
                chunk.drain(..len);
                written += len;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("behind {written} bytes: {error}"),
        }
        assert!(written < 1 << 20, "the window never closes");
    }
    client.set_timeouts(LIMIT);
    std::thread::scope(|scope| {
        let total = written + chunk.len();
        scope.spawn(move || read(server, SEED, total));
        client.write_all(&chunk).unwrap();
        client.finish().unwrap();
    });
}
