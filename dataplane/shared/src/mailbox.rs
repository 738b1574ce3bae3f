//! Messages to one thread from many: lanes to each other, the control thread to lanes and back.
//!
//! Invariants: bounded, so that nobody grows a queue on the path of a packet; a full mailbox gives the message back; a
//! sleeping owner is woken. The queue is crossbeam's; the sleeping is [`crate::doorbell`]'s.

use crate::doorbell::{Sleeper, Waker, doorbell};
use crossbeam::queue::ArrayQueue;
use std::io;
use std::sync::Arc;

/// The owner's end.
#[derive(Debug)]
pub struct Mailbox<T> {
    queue: Arc<ArrayQueue<T>>,
    sleeper: Sleeper,
}

/// A sender's end.
#[derive(Debug)]
pub struct Mail<T> {
    queue: Arc<ArrayQueue<T>>,
    waker: Waker,
}

/// A mailbox of `capacity` messages, at least one.
///
/// # Errors
/// If the kernel has no descriptor or memory left.
pub fn mailbox<T>(capacity: usize) -> io::Result<(Mailbox<T>, Mail<T>)> {
    let queue = Arc::new(ArrayQueue::new(capacity.max(1)));
    let (sleeper, waker) = doorbell()?;
    Ok((Mailbox { queue: queue.clone(), sleeper }, Mail { queue, waker }))
}

impl<T> Mailbox<T> {
    /// The oldest message.
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        self.queue.pop()
    }

    /// True if a message waits: the look between [`Sleeper::prepare`] and sleeping.
    pub fn has_mail(&self) -> bool {
        !self.queue.is_empty()
    }

    /// What the owner sleeps on.
    pub fn sleeper(&self) -> &Sleeper {
        &self.sleeper
    }
}

impl<T> Mail<T> {
    /// Leaves `message` and wakes the owner if it sleeps.
    ///
    /// # Errors
    /// The message itself, if the mailbox is full.
    #[inline]
    pub fn send(&self, message: T) -> Result<(), T> {
        self.queue.push(message)?;
        self.waker.ring();
        Ok(())
    }

    /// Leaves `message` without waking anybody; for several in a row, followed by [`Mail::wake`].
    ///
    /// # Errors
    /// The message itself, if the mailbox is full.
    #[inline]
    pub fn leave(&self, message: T) -> Result<(), T> {
        self.queue.push(message)
    }

    /// Wakes the owner if it sleeps.
    pub fn wake(&self) {
        self.waker.ring();
    }
}

impl<T> Clone for Mail<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), waker: self.waker.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_returns_the_message() {
        let (mut mailbox, mail) = mailbox(2).unwrap();
        mail.send(1).unwrap();
        mail.clone().send(2).unwrap();
        assert_eq!(mail.send(3), Err(3));
        assert_eq!((mailbox.take(), mailbox.take(), mailbox.take()), (Some(1), Some(2), None));
    }

    #[test]
    fn senders_wake_a_sleeping_owner() {
        let (mut mailbox, mail) = mailbox(4).unwrap();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let mail = mail.clone();
                std::thread::spawn(move || {
                    for i in 0..200 {
                        while mail.send(i).is_err() {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let mut taken = 0;
        while taken < 600 {
            mailbox.sleeper().prepare();
            if !mailbox.has_mail() {
                assert!(mailbox.sleeper().wait(Some(std::time::Duration::from_secs(20))), "lost wake-up");
            }
            mailbox.sleeper().awake();
            taken += std::iter::from_fn(|| mailbox.take()).count();
        }
        threads.into_iter().for_each(|t| t.join().unwrap());
    }
}
