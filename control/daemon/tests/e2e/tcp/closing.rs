//! The ends of a connection: one half, both, and by force.

use std::io::{self, ErrorKind, Write};

use super::bulk::{read, write};
use super::ends::Stream;
use super::places::Players;
use crate::harness::until;

/// Whoever has ended its half goes on hearing: a question, its end, a long answer, its end.
pub(super) fn half_close(players: &Players<'_>, answer: usize) {
    players.either_way(|mut asks, mut answers| {
        std::thread::scope(|scope| {
            scope.spawn(move || {
                asks.write_all(b"how long?").unwrap();
                asks.finish().unwrap();
                let refused = asks.write(b"more").unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
                read(asks, 3, answer);
            });
            scope.spawn(move || {
                assert_eq!(answers.rest().unwrap(), b"how long?");
                write(answers, 3, answer);
            });
        });
    });
}

/// A reset ends both halves, and is told once.
pub(super) fn resets(players: &Players<'_>) {
    players.either_way(|leaves, mut stays| {
        std::thread::scope(|scope| {
            scope.spawn(move || {
                is_reset(stays.rest());
                assert_eq!(stays.write(b"anybody?").unwrap_err().kind(), ErrorKind::BrokenPipe);
                assert_eq!(stays.rest().unwrap(), b"");
            });
            leaves.reset();
        });
    });
}

/// Who closes without having read everything resets: the other must not think that all was heard.
pub(super) fn unread_data_resets(players: &Players<'_>) {
    players.either_way(|mut speaks, mut leaves| {
        speaks.write_all(b"two words").unwrap();
        assert_eq!(leaves.exactly(3).unwrap(), b"two");
        drop(leaves);
        is_reset(speaks.rest());
    });
}

/// What is sent to somebody who has left is answered by a reset.
pub(super) fn sending_to_nobody_resets(players: &Players<'_>) {
    players.either_way(|leaves, mut stays| {
        drop(leaves);
        assert_eq!(stays.rest().unwrap(), b"");
        speaks_until_reset(stays);
    });
}

/// A reset is sent once. Where it may be lost, who goes on speaking hears another one in the end.
pub(super) fn lost_resets(players: &Players<'_>) {
    for _ in 0..5 {
        players.either_way(|leaves, stays| {
            leaves.reset();
            speaks_until_reset(stays);
        });
    }
}

fn speaks_until_reset(mut stream: Stream) {
    until("the reset", || match stream.write(b"anybody?") {
        Ok(_) => false,
        Err(error) => matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
    });
}

fn is_reset(outcome: io::Result<Vec<u8>>) {
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// Both close at once; each hears the other's last words.
pub(super) fn both_close_at_once(players: &Players<'_>) {
    for _ in 0..20 {
        let (client, server) = players.connected();
        let farewell = |mut stream: Stream| {
            stream.write_all(b"farewell").unwrap();
            stream.finish().unwrap();
            assert_eq!(stream.rest().unwrap(), b"farewell");
        };
        std::thread::scope(|scope| {
            scope.spawn(|| farewell(client));
            scope.spawn(|| farewell(server));
        });
    }
}
