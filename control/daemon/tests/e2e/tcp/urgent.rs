//! The urgent byte travels beside the stream.

use std::io::{Read, Write};

use super::places::Players;
use crate::harness::until;

/// It is told at once, a read stops before its place, and the stream goes on without it.
pub(super) fn urgent(players: &Players<'_>) {
    players.either_way(|mut sends, mut receives| {
        assert_eq!(receives.receive_urgent().unwrap_err().raw_os_error(), Some(libc::EINVAL), "none yet");
        sends.write_all(b"before").unwrap();
        assert_eq!(sends.send_urgent(b"first!").unwrap(), 6);
        sends.write_all(b"after").unwrap();
        let mut urgent = None;
        until("the urgent byte", || {
            urgent = receives.receive_urgent().ok();
            urgent.is_some()
        });
        assert_eq!(urgent, Some(b'!'));
        assert_eq!(receives.receive_urgent().unwrap_err().raw_os_error(), Some(libc::EINVAL), "only once");
        let (mut read, mut buffer) = (Vec::new(), [0; 64]);
        while read.len() < b"beforefirst".len() {
            let len = receives.read(&mut buffer).unwrap();
            read.extend_from_slice(&buffer[..len]);
        }
        assert_eq!(read, b"beforefirst", "a read does not pass the mark");
        assert_eq!(receives.exactly(5).unwrap(), b"after");
        sends.finish().unwrap();
        assert_eq!(receives.rest().unwrap(), b"");
    });
}
