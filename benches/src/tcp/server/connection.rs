//! One connection of the server and what it could not yet send. The same on kernel sockets and on the daemon's.

use super::Service;
use std::io::{self, ErrorKind, Read, Write};

/// What a connection waits for after it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// Bytes, or the peer's end.
    Bytes,
    /// Room to send.
    Room,
    /// Nothing: it is over.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Connection<S> {
    pub(super) stream: S,
    service: Service,
    /// What came and was not taken back yet.
    left: Vec<u8>,
}

impl<S> Connection<S>
where
    for<'a> &'a S: Read + Write,
{
    pub(super) fn new(stream: S, service: Service) -> Self {
        Self { stream, service, left: Vec::new() }
    }

    /// Does what can be done without waiting. `ended`: the peer is known to have sent all it will, so that a short read is not taken for
    /// the last that waits. An error is the server's own.
    pub(super) fn serve(&mut self, buffer: &mut [u8], ended: bool) -> io::Result<Wants> {
        let served = match self.service {
            Service::Echo => self.echo(buffer, ended),
            Service::Discard => self.discard(buffer, ended),
            Service::Chargen => self.generate(buffer),
        };
        match served {
            Err(error) if error.kind() == ErrorKind::NetworkDown => Err(error),
            Err(_) => Ok(Wants::Nothing), // reset by the peer
            served => served,
        }
    }

    /// Bounded by what the peer sends while it is echoed.
    fn echo(&mut self, buffer: &mut [u8], ended: bool) -> io::Result<Wants> {
        loop {
            if !self.left.is_empty() {
                let Some(sent) = unless_blocked((&self.stream).write(&self.left))? else { return Ok(Wants::Room) };
                self.left.drain(..sent);
                continue;
            }
            let Some(len) = unless_blocked((&self.stream).read(buffer))? else { return Ok(Wants::Bytes) };
            if len == 0 {
                return Ok(Wants::Nothing);
            }
            let received = buffer.get(..len).unwrap_or_default();
            let sent = unless_blocked((&self.stream).write(received))?.unwrap_or(0);
            if sent < len {
                self.left.extend_from_slice(received.get(sent..).unwrap_or_default());
            } else if len < buffer.len() && !ended {
                return Ok(Wants::Bytes);
            }
        }
    }

    /// Bounded by what the peer sends meanwhile.
    fn discard(&mut self, buffer: &mut [u8], ended: bool) -> io::Result<Wants> {
        loop {
            match unless_blocked((&self.stream).read(buffer))? {
                Some(0) => return Ok(Wants::Nothing),
                Some(len) if len < buffer.len() && !ended => return Ok(Wants::Bytes),
                Some(_) => {}
                None => return Ok(Wants::Bytes),
            }
        }
    }

    /// Bounded by what the peer takes meanwhile.
    fn generate(&mut self, buffer: &[u8]) -> io::Result<Wants> {
        while unless_blocked((&self.stream).write(buffer))?.is_some() {}
        Ok(Wants::Room)
    }
}

/// `None` if the call would have waited.
fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(len) => Ok(Some(len)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// A stream that gives what it has and takes so much.
    struct Pipe(RefCell<(Vec<u8>, usize, Vec<u8>)>);

    impl Read for &Pipe {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let input = &mut self.0.borrow_mut().0;
            if input.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
            let len = input.len().min(out.len());
            out[..len].copy_from_slice(&input[..len]);
            input.drain(..len);
            Ok(len)
        }
    }

    impl Write for &Pipe {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            let (_, room, output) = &mut *self.0.borrow_mut();
            if *room == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            let len = data.len().min(*room);
            *room -= len;
            output.extend(&data[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_echo_without_room_keeps_the_rest_and_goes_on() {
        let input: Vec<u8> = (0..100).collect();
        let mut connection = Connection::new(Pipe(RefCell::new((input.clone(), 30, Vec::new()))), Service::Echo);
        let mut buffer = [0; 64];
        assert_eq!(connection.serve(&mut buffer, false).unwrap(), Wants::Room);
        connection.stream.0.borrow_mut().1 = 1000;
        assert_eq!(connection.serve(&mut buffer, false).unwrap(), Wants::Bytes);
        assert_eq!(connection.stream.0.borrow().2, input);
    }

    #[test]
    fn the_other_services_take_and_give_without_end() {
        let mut discard = Connection::new(Pipe(RefCell::new((vec![1; 1000], 0, Vec::new()))), Service::Discard);
        assert_eq!(discard.serve(&mut [0; 64], false).unwrap(), Wants::Bytes);
        assert!(discard.stream.0.borrow().0.is_empty());
        let mut chargen = Connection::new(Pipe(RefCell::new((Vec::new(), 500, Vec::new()))), Service::Chargen);
        assert_eq!(chargen.serve(&mut [7; 64], false).unwrap(), Wants::Room);
        assert_eq!(chargen.stream.0.borrow().2.len(), 500);
    }
}
