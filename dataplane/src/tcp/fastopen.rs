//! TCP Fast Open (RFC 7413): the server's cookies and the client's memory of them.
//!
//! Invariants: a cookie is 8 bytes, the keyed hash of both addresses, so that it is good only where it was given; the
//! key before the current one is still accepted, and a cookie made with it is renewed (section 4.1.2). The client's
//! table has a fixed size: a new destination takes the place of the one used least recently of its set. A path that
//! swallowed a SYN with data is not tried again for an hour, then for twice as long (section 7.3;
//! `tcp_fastopen_active_disable`).

use super::isn::Secret;
use super::mss::Mss;
use crate::wire::tcp_options::COOKIE_LEN_MAX;
use crate::{Duration, Instant};
use std::net::IpAddr;

/// Bytes of our cookies.
pub const COOKIE_LEN: usize = 8;
/// After a first loss that looks like a filter (`tcp_fastopen_blackhole_timeout`).
const BLACKHOLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// At most 64 hours.
const BLACKHOLE_DOUBLINGS_MAX: u8 = 6;

const PURPOSE: u8 = 5;
const SET: u8 = 6;

/// What a server answers a cookie with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieVerdict {
    /// The SYN's data may be used.
    Valid,
    /// It may, and the SYN-ACK brings this new cookie.
    Renew([u8; COOKIE_LEN]),
    /// It may not; the SYN-ACK brings this cookie, if one was asked for or a wrong one was shown.
    Invalid([u8; COOKIE_LEN]),
}

/// The keys of a listener's lane.
#[derive(Clone, Copy, Debug)]
pub struct FastOpenKeys {
    current: Secret,
    backup: Option<Secret>,
}

impl FastOpenKeys {
    /// With one key (`tcp_fastopen_key`).
    pub const fn new(current: Secret) -> Self {
        Self { current, backup: None }
    }

    /// As `tcp_fastopen_key` has them: one key, or two with a comma between. `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut keys = text.trim().split(',').map(key);
        let current = keys.next()??;
        let backup = match keys.next() {
            Some(backup) => Some(backup?),
            None => None,
        };
        keys.next().is_none().then_some(Self { current, backup })
    }

    /// Makes `current` the key; cookies of the last one stay good until the next rotation.
    pub fn rotate(&mut self, current: Secret) {
        self.backup = Some(std::mem::replace(&mut self.current, current));
    }

    /// The cookie for a client at `remote` that connects to `local` (`tcp_fastopen_cookie_gen`).
    pub fn cookie(&self, local: IpAddr, remote: IpAddr) -> [u8; COOKIE_LEN] {
        made_with(&self.current, local, remote)
    }

    /// Judges the cookie of a SYN; an empty one asks for one.
    pub fn check(&self, local: IpAddr, remote: IpAddr, shown: &[u8]) -> CookieVerdict {
        let good = self.cookie(local, remote);
        if same(shown, &good) {
            return CookieVerdict::Valid;
        }
        match self.backup {
            Some(backup) if same(shown, &made_with(&backup, local, remote)) => CookieVerdict::Renew(good),
            _ => CookieVerdict::Invalid(good),
        }
    }
}

/// As Linux makes it (`__tcp_fastopen_cookie_gen_cipher`), so that hosts which share a key accept each other's cookies.
fn made_with(secret: &Secret, local: IpAddr, remote: IpAddr) -> [u8; COOKIE_LEN] {
    let hash = match (remote, local) {
        (IpAddr::V4(remote), IpAddr::V4(local)) => {
            let [a, b, c, d] = remote.octets();
            let [e, f, g, h] = local.octets();
            secret.hash_bytes(&[a, b, c, d, e, f, g, h])
        }
        _ => secret.hash(PURPOSE, &(remote, local)),
    };
    hash.to_le_bytes()
}

/// Four words of hexadecimal digits, `00112233-44556677-8899aabb-ccddeeff`.
fn key(text: &str) -> Option<Secret> {
    let words: Vec<u64> =
        text.split('-').map(|word| u32::from_str_radix(word, 16).map(u64::from)).collect::<Result<_, _>>().ok()?;
    let [a, b, c, d] = *words.as_slice() else { return None };
    Some(Secret::new([a | b << 32, c | d << 32]))
}

/// In a time that does not tell where the first difference is.
fn same(shown: &[u8], good: &[u8; COOKIE_LEN]) -> bool {
    shown.len() == good.len() && shown.iter().zip(good).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// What a client remembers of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerCookie {
    cookie: [u8; COOKIE_LEN_MAX],
    len: u8,
    /// The server's segment size, for the data of the next SYN.
    pub mss: Mss,
    /// The server spoke the experimental option.
    pub experimental: bool,
}

impl ServerCookie {
    /// Of a SYN-ACK's option. `None` if it is empty or too long.
    pub fn new(cookie: &[u8], mss: Mss, experimental: bool) -> Option<Self> {
        let mut kept = Self { cookie: [0; COOKIE_LEN_MAX], len: cookie.len() as u8, mss, experimental };
        kept.cookie.get_mut(..cookie.len()).filter(|room| !room.is_empty())?.copy_from_slice(cookie);
        Some(kept)
    }

    /// What to show.
    pub fn cookie(&self) -> &[u8] {
        self.cookie.get(..usize::from(self.len)).unwrap_or(&self.cookie)
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    server: IpAddr,
    cookie: ServerCookie,
    used_at: Instant,
}

/// Places in a set: a destination has four chances to stay.
const WAYS: usize = 4;

/// The cookies that a lane's clients hold.
#[derive(Debug)]
pub struct CookieCache {
    sets: Box<[[Option<Entry>; WAYS]]>,
    secret: Secret,
    /// Not before this time, after a path swallowed SYNs with data.
    disabled_until: Instant,
    blackholes: u8,
}

impl CookieCache {
    /// Room for about `capacity` servers; `secret` keys the hash of their addresses.
    pub fn new(capacity: usize, secret: Secret) -> Self {
        let sets = capacity.div_ceil(WAYS).max(1).next_power_of_two();
        Self { sets: vec![[None; WAYS]; sets].into(), secret, disabled_until: Instant::ZERO, blackholes: 0 }
    }

    /// The cookie for `server`, if there is one and Fast Open is not disabled (`tcp_fastopen_cookie_check`).
    pub fn get(&mut self, now: Instant, server: IpAddr) -> Option<ServerCookie> {
        if now < self.disabled_until {
            return None;
        }
        let entry = self.set(server).iter_mut().flatten().find(|entry| entry.server == server)?;
        entry.used_at = now;
        Some(entry.cookie)
    }

    /// True while nobody may send data in a SYN (`tcp_fastopen_active_should_disable`).
    pub fn is_disabled(&self, now: Instant) -> bool {
        now < self.disabled_until
    }

    /// Keeps what a SYN-ACK brought.
    pub fn put(&mut self, now: Instant, server: IpAddr, cookie: ServerCookie) {
        let set = self.set(server);
        let known = set.iter().position(|place| place.is_some_and(|entry| entry.server == server));
        let oldest = || (0..WAYS).min_by_key(|at| set[*at].map_or(Instant::ZERO, |entry| entry.used_at)).unwrap_or(0);
        let place = known.or_else(|| set.iter().position(Option::is_none)).unwrap_or_else(oldest);
        set[place] = Some(Entry { server, cookie, used_at: now });
    }

    /// Forgets `server`: its SYN with data was lost, or it did not acknowledge the data.
    pub fn remove(&mut self, server: IpAddr) {
        for place in self.set(server) {
            *place = place.filter(|entry| entry.server != server);
        }
    }

    /// A connection that began with data went silent or was reset out of order: something on the path filters. Disables
    /// Fast Open for an hour, twice as long each time.
    pub fn on_blackhole(&mut self, now: Instant) {
        self.disabled_until = now + BLACKHOLE_TIMEOUT * (1 << self.blackholes);
        self.blackholes = (self.blackholes + 1).min(BLACKHOLE_DOUBLINGS_MAX);
    }

    /// A connection that began with data worked: the next hole counts as the first.
    pub fn on_success(&mut self) {
        self.blackholes = 0;
    }

    fn set(&mut self, server: IpAddr) -> &mut [Option<Entry>; WAYS] {
        let index = self.secret.hash(SET, &server) as usize & (self.sets.len() - 1);
        &mut self.sets[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn host(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    #[test]
    fn a_cookie_is_good_for_one_client_and_one_rotation() {
        let mut keys = FastOpenKeys::new(Secret::new([1, 2]));
        let old = keys.cookie(host(1), host(2));
        assert_eq!(keys.check(host(1), host(2), &old), CookieVerdict::Valid);
        assert_eq!(keys.check(host(1), host(3), &old), CookieVerdict::Invalid(keys.cookie(host(1), host(3))));
        assert_eq!(keys.check(host(1), host(2), &[]), CookieVerdict::Invalid(old), "a cookie is asked for");
        assert_eq!(keys.check(host(1), host(2), &old[..4]), CookieVerdict::Invalid(old));
        keys.rotate(Secret::new([3, 4]));
        assert_eq!(keys.check(host(1), host(2), &old), CookieVerdict::Renew(keys.cookie(host(1), host(2))));
        keys.rotate(Secret::new([5, 6]));
        assert!(matches!(keys.check(host(1), host(2), &old), CookieVerdict::Invalid(_)));
    }

    #[test]
    fn the_client_keeps_a_bounded_number_of_cookies() {
        let mut cache = CookieCache::new(64, Secret::new([7, 8]));
        let cookie = |at: u32| ServerCookie::new(&at.to_be_bytes(), Mss::new(1460), false).unwrap();
        for at in 0..1000 {
            cache.put(Instant::from_millis(u64::from(at)), host(at), cookie(at));
            cache.put(Instant::from_millis(u64::from(at)), host(0), cookie(0));
        }
        let kept = (0..1000).filter(|at| cache.get(Instant::from_millis(1000), host(*at)).is_some()).count();
        assert!((48..=64).contains(&kept), "{kept}");
        assert_eq!(cache.get(Instant::from_millis(1000), host(0)).unwrap().cookie(), [0; 4]);
        cache.remove(host(0));
        assert_eq!(cache.get(Instant::from_millis(1000), host(0)), None);
        assert_eq!(ServerCookie::new(&[], Mss::MIN, false), None);
        assert_eq!(ServerCookie::new(&[0; 17], Mss::MIN, false), None);
    }

    #[test]
    fn a_filtering_path_is_left_alone_for_longer_each_time() {
        let mut cache = CookieCache::new(4, Secret::new([7, 8]));
        let hours = |hours: u64| Instant::from_millis(hours * 3_600_000);
        cache.put(hours(0), host(1), ServerCookie::new(&[1; 8], Mss::MIN, true).unwrap());
        cache.on_blackhole(hours(0));
        assert!(cache.get(hours(0), host(1)).is_none() && cache.get(hours(1), host(1)).is_some());
        cache.on_blackhole(hours(1));
        assert!(cache.get(hours(2), host(1)).is_none() && cache.get(hours(3), host(1)).is_some());
        cache.on_success();
        cache.on_blackhole(hours(3));
        assert!(cache.get(hours(4), host(1)).is_some());
    }

    #[test]
    fn a_key_gives_the_cookies_that_linux_gives() {
        let keys = FastOpenKeys::parse("a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4").unwrap();
        let cookie = keys.cookie("192.168.0.2".parse().unwrap(), "192.0.2.1".parse().unwrap());
        assert_eq!(cookie, [0xde, 0x4f, 0x23, 0x4f, 0x0f, 0x43, 0x3a, 0x55]);
        assert!(FastOpenKeys::parse("a1a1a1a1-b2b2b2b2-c3c3c3c3").is_none());
        assert!(FastOpenKeys::parse("0-0-0-0,1-1-1-1,2-2-2-2").is_none());
    }
}
