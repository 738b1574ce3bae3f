use super::*;
use crate::api::{Client, ClientError, Reloaded, Route, Stat};
use crate::testing::Directory;
use mio::{Events, Poll};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const FIRST: usize = 100;

struct Bench {
    _directory: Directory,
    path: PathBuf,
    poll: Poll,
    server: Server,
    turns: u64,
}

impl Bench {
    fn new(test: &str) -> Self {
        let directory = Directory::new(test);
        let path = directory.path("operator.sock");
        let poll = Poll::new().unwrap();
        let server = Server::listen(&path, poll.registry(), FIRST).unwrap();
        Self { _directory: directory, path, poll, server, turns: 0 }
    }

    /// One wait for events and their handling; every turn is a millisecond later than the one before.
    fn turn(&mut self) {
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, Some(Duration::from_millis(20))).unwrap();
        self.turns += 1;
        for event in &events {
            assert!(self.server.owns(event.token()));
            let now = Instant::from_millis(self.turns);
            self.server.on_event(now, event.token(), self.poll.registry(), &mut answer).unwrap();
        }
    }

    fn turn_until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..500 {
            if done(self) {
                return;
            }
            self.turn();
        }
        panic!("not reached: {what}");
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }
}

fn answer(request: Request) -> Response {
    match request {
        Request::Stat => Response::Stat(Stat { sockets: 42, ..Stat::default() }),
        Request::Reload => Response::Reloaded(Reloaded::default()),
        Request::Routes => Response::Routes(vec![a_route(); 20_000]),
        Request::Neighbors => Response::Routes(vec![a_route(); 200_000]),
        other => Response::Error(format!("not here: {other:?}")),
    }
}

fn a_route() -> Route {
    Route {
        destination: Ipv4Addr::new(10, 0, 0, 0),
        prefix_len: 8,
        via: None,
        interface: "eth1".into(),
        source: None,
        metric: 0,
        mtu: None,
        origin: "configuration".into(),
    }
}

/// Reads from a non-blocking stream what is there.
fn read_some(stream: &mut UnixStream, into: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 4096];
    match stream.read(&mut chunk) {
        Ok(0) => true,
        Ok(count) => {
            into.extend_from_slice(&chunk[..count]);
            false
        }
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

#[test]
fn client_and_server_speak_the_same_lines() {
    let mut bench = Bench::new("api-roundtrip");
    let path = bench.path.clone();
    let done = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&done);
    let tool = std::thread::spawn(move || {
        let mut client = Client::connect(&path).unwrap();
        let stat = client.stat().unwrap().sockets;
        let refused = client.request(&Request::CaptureStop { id: 3 });
        let routes = client.routes().unwrap().len();
        let mixed_up = client.neighbors();
        flag.store(true, Ordering::Release); // pairs with the load below: the results are on their way
        (stat, refused, routes, mixed_up)
    });
    bench.turn_until("the tool's answers", |_| done.load(Ordering::Acquire));
    let (sockets, refused, routes, mixed_up) = tool.join().unwrap();
    assert_eq!((sockets, routes), (42, 20_000));
    assert!(matches!(refused, Err(ClientError::Refused(text)) if text.contains("CaptureStop { id: 3 }")));
    assert!(matches!(mixed_up, Err(ClientError::Refused(text)) if text.contains("longer than")));
}

#[test]
fn questions_in_pieces_in_a_heap_and_wrong_are_answered_in_order() {
    let mut bench = Bench::new("api-lines");
    let mut stream = bench.connect();
    let questions = "{\"request\":\"reload\"}\nnonsense\n{\"request\":\"launch\"}\n".to_owned()
        + &"{\"request\":\"reload\"}\n".repeat(30);
    let (head, tail) = questions.split_at(11);
    stream.write_all(head.as_bytes()).unwrap();
    bench.turn();
    bench.turn();
    stream.write_all(tail.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    bench.turn_until("the end of the answers", |_| read_some(&mut stream, &mut bytes));
    let kinds: Vec<_> =
        bytes.lines().map(|line| serde_json::from_str::<Response>(&line.unwrap()).unwrap().kind()).collect();
    let mut expected = vec!["reloaded", "error", "error"];
    expected.extend(["reloaded"; 30]);
    assert_eq!(kinds, expected);
    assert_eq!(bench.server.clients(), 0, "a client that hung up is gone");
}

#[test]
fn an_endless_line_ends_its_client_only() {
    let mut bench = Bench::new("api-endless");
    let mut rude = bench.connect();
    let _quiet = bench.connect();
    rude.write_all(&[b'x'; 3 * connection::REQUEST_BYTES_MAX]).unwrap();
    let mut bytes = Vec::new();
    bench.turn_until("the end of the rude client", |_| read_some(&mut rude, &mut bytes));
    assert_eq!(bench.server.clients(), 1);
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let mut bench = Bench::new("api-slow");
    let mut slow = bench.connect();
    slow.write_all("{\"request\":\"routes\"}\n".repeat(20).as_bytes()).unwrap();
    for _ in 0..5 {
        bench.turn();
    }
    let mut quick = bench.connect();
    quick.write_all(b"{\"request\":\"stat\"}\n").unwrap();
    let mut bytes = Vec::new();
    bench.turn_until("the quick client's answer", |_| {
        read_some(&mut quick, &mut bytes);
        bytes.ends_with(b"\n")
    });
    drop(quick);
    // And when the slow one reads at last, all its answers are there.
    let mut slow_bytes = Vec::new();
    slow.shutdown(std::net::Shutdown::Write).unwrap();
    slow.set_nonblocking(false).unwrap();
    let reader = std::thread::spawn(move || {
        slow.read_to_end(&mut slow_bytes).unwrap();
        BufReader::new(&slow_bytes[..]).lines().count()
    });
    bench.turn_until("the slow client's end", |_| reader.is_finished());
    assert_eq!(reader.join().unwrap(), 20);
}

#[test]
fn when_full_the_quietest_makes_room() {
    let mut bench = Bench::new("api-full");
    let mut clients: Vec<_> = (0..CLIENTS_MAX).map(|_| bench.connect()).collect();
    bench.turn_until("all connected", |bench| bench.server.clients() == CLIENTS_MAX);
    clients[0].write_all(b"{").unwrap();
    bench.turn();
    bench.turn();
    let mut late = bench.connect();
    late.write_all(b"{\"request\":\"reload\"}\n").unwrap();
    let mut bytes = Vec::new();
    bench.turn_until("the late client's answer", |_| {
        read_some(&mut late, &mut bytes);
        bytes.ends_with(b"\n")
    });
    assert_eq!(bench.server.clients(), CLIENTS_MAX);
    let mut nothing = Vec::new();
    assert!(!read_some(&mut clients[0], &mut nothing), "the active one stays");
    assert!(read_some(&mut clients[1], &mut nothing), "the quietest went");
}
