//! Between two threads: a message there and one back, by mailboxes that spin and by doorbells that sleep.
//!
//! What a sleeping lane or client costs; on one core, or two, as the scheduler places them.

use criterion::Criterion;
use std::io;
use std::time::Duration;
use xmit_shared::mailbox::{Mail, Mailbox, mailbox};

/// The message that ends the other thread.
const END: u64 = u64::MAX;
/// A lost wake-up shows as a round of this length.
const SLEEP_MAX: Duration = Duration::from_secs(1);

pub(crate) fn bench(c: &mut Criterion) {
    if let Err(error) = unasked(c).and_then(|()| ping_pong(c)) {
        println!("wake: {error}");
    }
}

/// Nobody sleeps: what telling costs then.
fn unasked(c: &mut Criterion) -> io::Result<()> {
    let (mut mailbox, mail) = mailbox(64)?;
    c.bench_function("mailbox/send, take, nobody sleeps", |b| b.iter(|| (mail.send(1), mailbox.take())));
    c.bench_function("mailbox/send, wake, take, one core", |b| {
        b.iter(|| {
            mailbox.sleeper().prepare();
            let sent = mail.send(1);
            mailbox.sleeper().awake();
            (sent, mailbox.take())
        });
    });
    Ok(())
}

fn ping_pong(c: &mut Criterion) -> io::Result<()> {
    for (name, sleeps) in
        [("mailbox/ping-pong of two spinning threads", false), ("mailbox/ping-pong of two sleeping threads", true)]
    {
        let (mut here, to_here) = mailbox(4)?;
        let (there, to_there) = mailbox(4)?;
        let thread = std::thread::spawn(move || answer(there, &to_here, sleeps));
        c.bench_function(name, |b| {
            b.iter(|| {
                let _ = to_there.send(1);
                receive(&mut here, sleeps)
            });
        });
        let _ = to_there.send(END);
        let _ = thread.join();
    }
    Ok(())
}

fn answer(mut mailbox: Mailbox<u64>, mail: &Mail<u64>, sleeps: bool) {
    loop {
        let message = receive(&mut mailbox, sleeps);
        if message == END || mail.send(message).is_err() {
            return;
        }
    }
}

fn receive(mailbox: &mut Mailbox<u64>, sleeps: bool) -> u64 {
    loop {
        if let Some(message) = mailbox.take() {
            return message;
        }
        if !sleeps {
            std::hint::spin_loop();
            continue;
        }
        mailbox.sleeper().prepare();
        if !mailbox.has_mail() {
            mailbox.sleeper().wait(Some(SLEEP_MAX));
        }
        mailbox.sleeper().awake();
    }
}
