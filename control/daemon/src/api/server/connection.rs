//! One client of the operator API: bytes in, questions, answers, bytes out.

use crate::api::{Request, Response};
use mio::net::UnixStream;
use std::io::{self, Read, Write};
use xmit_shared::Instant;

/// The longest question in bytes: a path (4,096) in JSON with all its bytes escaped would not fit, any real one does.
pub(super) const REQUEST_BYTES_MAX: usize = 8192;

/// The longest answer in bytes: the full routing table of a site, not of the Internet.
pub(super) const RESPONSE_BYTES_MAX: usize = 16 << 20;

/// Questions that one event may take, so that a client that only asks leaves time to others.
const REQUESTS_PER_EVENT: usize = 8;

/// One connected client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    /// When bytes last moved.
    pub(super) active: Instant,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    /// The client sent its last byte: answer what it asked, then end.
    finished: bool,
}

/// What a client needs next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// An event of its socket.
    Waiting,
    /// Another call: its share of this event is used up.
    MoreToDo,
    /// To be dropped.
    Ended,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, now: Instant) -> Self {
        Self { stream, active: now, input: Vec::new(), output: Vec::new(), written: 0, finished: false }
    }

    /// Writes, reads and answers as far as the socket allows; bounded by [`REQUESTS_PER_EVENT`].
    pub(super) fn drive(&mut self, now: Instant, answer: &mut dyn FnMut(Request) -> Response) -> Progress {
        for _ in 0..REQUESTS_PER_EVENT {
            match self.step(now, answer) {
                Ok(Step::Answered) => {}
                Ok(Step::Blocked) => return Progress::Waiting,
                Ok(Step::Closed) | Err(_) => return Progress::Ended,
            }
        }
        Progress::MoreToDo
    }

    /// Gets rid of the pending answer, then answers one question.
    fn step(&mut self, now: Instant, answer: &mut dyn FnMut(Request) -> Response) -> io::Result<Step> {
        if !self.flush(now)? {
            return Ok(Step::Blocked);
        }
        let Some(line) = self.line(now)? else {
            return Ok(if self.finished { Step::Closed } else { Step::Blocked });
        };
        let response = match serde_json::from_slice(&line) {
            Ok(request) => answer(request),
            Err(error) => Response::Error(format!(
                "this is not a request: {error}; a request is a JSON object on one line, such as {{\"request\":\"stat\"}}"
            )),
        };
        self.output = encode(&response)?;
        Ok(Step::Answered)
    }

    /// Writes the pending answer; true if nothing of it is left.
    fn flush(&mut self, now: Instant) -> io::Result<bool> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.active = now;
        }
        self.output = Vec::new();
        self.written = 0;
        Ok(true)
    }

    /// The next question, or nothing yet; bounded by [`REQUEST_BYTES_MAX`]. A longer one is an error.
    fn line(&mut self, now: Instant) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let rest = self.input.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.input, rest);
                line.truncate(end);
                return Ok(Some(line));
            }
            if self.input.len() >= REQUEST_BYTES_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let mut chunk = [0; 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    self.finished = true;
                    return Ok(None);
                }
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.active = now;
        }
    }
}

/// What one round achieved.
enum Step {
    Answered,
    Blocked,
    Closed,
}

fn encode(response: &Response) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(response)?;
    if line.len() >= RESPONSE_BYTES_MAX {
        let message = format!("the answer is longer than {RESPONSE_BYTES_MAX} bytes and was not sent");
        line = serde_json::to_vec(&Response::Error(message))?;
    }
    line.push(b'\n');
    Ok(line)
}
