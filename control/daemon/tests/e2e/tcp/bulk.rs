//! Much data, every byte of which is compared, and many connections.

use std::io::{Read, Write};

use xmit_nic::rng::Rng;

use super::ends::Stream;
use super::places::Players;

/// The longest step of reading and writing; each is of another length.
const STEP_MAX: u64 = 100_000;

/// The bytes that both ends know, by a seed.
pub(super) struct Content {
    rng: Rng,
    word: Vec<u8>,
}

impl Content {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), word: Vec::new() }
    }

    /// The next `len` bytes.
    pub(super) fn next(&mut self, len: usize) -> Vec<u8> {
        while self.word.len() < len {
            self.word.extend(self.rng.next_u64().to_ne_bytes());
        }
        let rest = self.word.split_off(len);
        std::mem::replace(&mut self.word, rest)
    }
}

/// Writes `total` bytes of `seed` and ends this half.
pub(super) fn write(mut stream: Stream, seed: u64, total: usize) {
    let (mut content, mut steps, mut written) = (Content::new(seed), Rng::new(!seed), 0);
    while written < total {
        let len = (1 + steps.below(STEP_MAX) as usize).min(total - written);
        stream.write_all(&content.next(len)).unwrap_or_else(|error| panic!("behind {written} bytes: {error}"));
        written += len;
    }
    stream.finish().unwrap();
}

/// Reads to the end, which must be `total` bytes of `seed`.
pub(super) fn read(mut stream: Stream, seed: u64, total: usize) {
    let (mut content, mut steps, mut buffer) = (Content::new(seed), Rng::new(!seed), vec![0; STEP_MAX as usize]);
    let mut seen = 0;
    loop {
        let room = 1 + steps.below(STEP_MAX) as usize;
        let len = stream.read(&mut buffer[..room]).unwrap_or_else(|error| panic!("behind {seen} bytes: {error}"));
        if len == 0 {
            break;
        }
        assert!(buffer[..len] == content.next(len), "wrong bytes behind {seen}");
        seen += len;
    }
    assert_eq!(seen, total);
}

/// `total` bytes in each direction, at the same time.
pub(super) fn exchange(players: &Players<'_>, total: usize) {
    let (client, server) = players.connected();
    std::thread::scope(|scope| {
        for (stream, seed, other) in [(client, 1, 2), (server, 2, 1)] {
            let writer = stream.again();
            scope.spawn(move || write(writer, seed, total));
            scope.spawn(move || read(stream, other, total));
        }
    });
}

/// `count` connections on each of `lines` threads: a question, an answer, the end.
pub(super) fn many(players: &Players<'_>, lines: usize, count: usize) {
    let (listener, address) = players.listen();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..lines * count {
                let mut stream = listener.accept();
                scope.spawn(move || {
                    let question = stream.rest().unwrap();
                    stream.write_all(&[&question[..], b"!"].concat()).unwrap();
                });
            }
        });
        for line in 0..lines {
            scope.spawn(move || {
                for number in 0..count {
                    let mut stream = players.client.connect(address).unwrap();
                    let question = format!("question {number} of line {line}");
                    stream.write_all(question.as_bytes()).unwrap();
                    stream.finish().unwrap();
                    assert_eq!(stream.rest().unwrap(), format!("{question}!").as_bytes());
                }
            });
        }
    });
}
