//! Asks a TCP echo server over several connections and counts the answers: `tcp_client 10.0.0.1:7 [COUNT] [CONNECTIONS] [BYTES]`.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;
use xmit::{Interest, Poller, Session, TcpStream};
use xmit_shared::clock;

/// A connection without an answer for so long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| args.get(i).map_or(Ok(default), |arg| arg.parse());
    let (Some(peer), Ok(count), Ok(connections), Ok(bytes)) = (args.first(), number(1, 1), number(2, 1), number(3, 64))
    else {
        eprintln!("usage: tcp_client ADDRESS:PORT [COUNT, 1] [CONNECTIONS, 1] [BYTES, 64]");
        return ExitCode::from(2);
    };
    match ask(peer, count, connections.max(1), bytes.max(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("asking {peer}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends `count` questions, one outstanding on each connection, and checks that the same bytes come back.
fn ask(peer: &str, count: usize, connections: usize, bytes: usize) -> io::Result<()> {
    let session = Session::global()?;
    let streams = (0..connections).map(|_| open(&session, peer)).collect::<io::Result<Vec<_>>>()?;
    let mut poller = Poller::new(&session);
    for (key, stream) in streams.iter().enumerate() {
        poller.add_stream(stream, key, Interest::READABLE)?;
    }
    let (question, mut answer) = (vec![b'x'; bytes], vec![0; bytes]);
    let (mut sent, mut answered, mut events) = (0, 0, Vec::new());
    let start = clock::monotonic();
    for mut stream in streams.iter().take(count) {
        stream.write_all(&question)?;
        sent += 1;
    }
    while answered < count {
        if poller.wait(&mut events, Some(PATIENCE))? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{answered} of {count} answered, then nothing"),
            ));
        }
        for mut stream in events.iter().filter_map(|event| streams.get(event.key)) {
            stream.read_exact(&mut answer)?;
            if answer != question {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not the question"));
            }
            answered += 1;
            if sent < count {
                stream.write_all(&question)?;
                sent += 1;
            }
        }
    }
    let seconds = clock::monotonic().saturating_since(start).as_secs_f64();
    let rate = answered as f64 / seconds.max(1e-9);
    println!("{answered} questions of {bytes} bytes on {connections} connections: {rate:.0} a second");
    Ok(())
}

fn open(session: &Session, peer: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_in(session, peer)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}
