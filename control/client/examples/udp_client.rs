//! Asks an echo server and counts the answers: `udp_client 10.0.0.1:7 [COUNT] [OUTSTANDING] [BYTES]`.

use std::io;
use std::process::ExitCode;
use std::time::Duration;
use xmit_shared::clock;

/// A question without an answer for so long is lost.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| args.get(i).map_or(Ok(default), |arg| arg.parse());
    let (Some(peer), Ok(count), Ok(window), Ok(bytes)) = (args.first(), number(1, 1), number(2, 1), number(3, 64))
    else {
        eprintln!("usage: udp_client ADDRESS:PORT [COUNT, 1] [OUTSTANDING, 1] [BYTES, 64]");
        return ExitCode::from(2);
    };
    match ask(peer, count, window.max(1), bytes) {
        Ok(answered) if answered == count => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("asking {peer}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends `count` datagrams with at most `window` outstanding. Answers how many came back.
fn ask(peer: &str, count: usize, window: usize, bytes: usize) -> io::Result<usize> {
    let socket = xmit::UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(peer)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let (mut buffer, payload) = (vec![0; 65_536], vec![b'x'; bytes]);
    let (mut sent, mut answered, mut outstanding) = (0, 0, 0usize);
    let start = clock::monotonic();
    while sent < count || outstanding > 0 {
        while sent < count && outstanding < window {
            socket.send(&payload)?;
            (sent, outstanding) = (sent + 1, outstanding + 1);
        }
        match socket.recv(&mut buffer) {
            Ok(_) => (answered, outstanding) = (answered + 1, outstanding.saturating_sub(1)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => outstanding = 0, // lost
            Err(error) => return Err(error),
        }
    }
    let seconds = clock::monotonic().saturating_since(start).as_secs_f64();
    let rate = answered as f64 / seconds.max(1e-9);
    println!("{answered} of {count} datagrams of {bytes} bytes answered, {window} outstanding: {rate:.0} a second");
    Ok(answered)
}
