//! A 3C501's segment joined to a tap or a NIC, so that a real host can talk to the emulated card.
//!
//! Each join has a thread of its own, beside the lanes: it is the wire, not the stack.

use crate::boot::StepError;
use crate::config::{El3c501, Join as Wish, Peer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tracing::info;
use xmit_nic::el3c501::{El3c501Port, Parity, Quirks, RxFilter, SegmentTap, SharedLan, WireCounters};
use xmit_nic::join::Join;
use xmit_nic::tap::{TapConfig, TapPort};
use xmit_nic::xdp::{LaneUmem, ModeWish, PortOptions, Steering, XdpPort};
use xmit_nic::{Duration, MacAddr, Pool, Port};
use xmit_shared::clock;

/// Frames of a join: two rings' worth for a 10 Mbit/s wire.
const FRAMES: usize = 4096;

/// Pools of joins are numbered from here, away from the lanes'.
const POOL: u16 = 0x8000;

/// A join asks whether it should end this often, when nothing else wakes it.
const LOOK: Duration = Duration::from_millis(50);

/// A running join.
#[derive(Debug)]
pub struct Joined {
    /// What is joined with what, for people.
    pub name: String,
    lan: SharedLan,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Joins the segment `lan` of `card` to what `wish` names. With it comes the program of a NIC, which steers nothing yet.
///
/// # Errors
/// If the other port cannot be opened.
pub fn join(lan: &SharedLan, card: &El3c501, wish: &Wish) -> Result<(Joined, Option<Steering>), StepError> {
    let (outside, pool, steering, host_mac) = open_outside(wish)?;
    let name = format!("segment {} with {} ({})", card.segment, outside.caps().name, outside.caps().mode);
    let inside: Box<dyn Port> = match card.peer {
        Peer::Wire => Box::new(SegmentTap::open(lan, &name, host_mac)?),
        Peer::Card => {
            let mac = MacAddr([0x02, 0x60, 0x8c, host_mac.0[3], host_mac.0[4], host_mac.0[5] ^ 0x80]);
            let port = El3c501Port::open(lan, "peer", mac, Quirks::default(), Parity::default())?;
            // The hosts behind it keep their own addresses, as behind a bridge.
            port.set_filter(RxFilter::Promiscuous);
            Box::new(port)
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&stop);
    let join = Join::new(inside, outside, pool);
    let thread = std::thread::Builder::new().name("join".into()).spawn(move || run(join, &theirs))?;
    Ok((Joined { name, lan: lan.clone(), stop, thread: Some(thread) }, steering))
}

type Outside = (Box<dyn Port>, Pool, Option<Steering>, MacAddr);

fn open_outside(wish: &Wish) -> Result<Outside, StepError> {
    match wish {
        Wish::Tap(name) => {
            let port = TapPort::open(&TapConfig::new(name))?;
            let mac = port.caps().mac;
            Ok((Box::new(port), Pool::anonymous(POOL, FRAMES)?, None, mac))
        }
        Wish::AfXdp(name) => {
            let mut steering = Steering::attach(name, ModeWish::Auto)?;
            let (umem, mut pool) = LaneUmem::new(POOL, FRAMES, 2048, false)?;
            let port = XdpPort::open(&mut steering, &umem, &mut pool, 0, &PortOptions::default())?;
            let mac = port.caps().mac;
            Ok((Box::new(port), pool, Some(steering), mac))
        }
    }
}

fn run(mut join: Join, stop: &AtomicBool) {
    // Pairs with the Release in `Drop`: nothing but the flag itself becomes visible.
    while !stop.load(Ordering::Acquire) {
        let now = clock::monotonic();
        if join.turn(now) > 0 {
            continue;
        }
        // Whatever ends the wait, a look costs little.
        let _ = join.wait(now, Some(LOOK), &[]);
    }
    let _ = join.shutdown();
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; here there is nothing left to save.
            let _ = thread.join();
        }
        let WireCounters { frames, collisions, broken } = self.lan.lock().segment().counters();
        info!("{}: {frames} frames, {collisions} collisions, {broken} cut off", self.name);
    }
}
