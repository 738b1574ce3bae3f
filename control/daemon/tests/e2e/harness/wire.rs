//! An impaired wire in the middle: two packet ports in a namespace between the host's and the daemon's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use xmit_netns::Netns;
use xmit_nic::join::Join;
use xmit_nic::packet::PacketPort;
use xmit_nic::sim::Impairment;
use xmit_shared::clock::monotonic;

/// A running wire; it ends when it is dropped.
pub(crate) struct Wire {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _netns: Netns,
}

/// It asks whether it shall end this often, when nothing else wakes it.
const LOOK: Duration = Duration::from_millis(20);

impl Wire {
    /// Between `wa` and `wb` of `netns`; `seed` decides, both ways.
    pub(crate) fn start(netns: Netns, seed: u64, impairment: Impairment) -> Self {
        println!("a bad wire, seed {seed}: {impairment:?}");
        let [a, b] = ["wa", "wb"].map(|device| netns.run(|| PacketPort::open(device)).unwrap().unwrap());
        let pool = PacketPort::pool_for(&[&a, &b], 1, 256).unwrap();
        let join = Join::new(Box::new(a), Box::new(b), pool).impaired(seed, impairment, impairment);
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let thread = std::thread::spawn(move || carry(join, &theirs));
        Self { stop, thread: Some(thread), _netns: netns }
    }
}

fn carry(mut join: Join, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let now = monotonic();
        if join.turn(now) == 0 {
            join.wait(now, Some(LOOK), &[]).unwrap();
        }
    }
    let (a, b) = join.ports();
    println!("the wire carried {:?}, missed {:?}", join.stats(), [a, b].map(|port| port.stats().rx_missed_errors));
    let _ = join.shutdown();
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic there has been printed, and what it broke fails the test.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
