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

    /// With one key, as a socket has it (`TCP_FASTOPEN_KEY`): 16 bytes, the lowest first.
    pub const fn of_numbers(key: [u64; 2]) -> Self {
        Self::new(Secret::new(key))
    }

    /// The same, and a key that cookies were made with before.
    #[must_use]
    pub const fn with_backup(self, key: [u64; 2]) -> Self {
        Self { backup: Some(Secret::new(key)), ..self }
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

/// What lets a client send data with its SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerCookie {
    cookie: [u8; COOKIE_LEN_MAX],
    len: u8,
    /// The server spoke the experimental option.
    pub experimental: bool,
}

impl ServerCookie {
    /// Of a SYN-ACK's option. `None` if it is empty or too long.
    pub fn new(cookie: &[u8], experimental: bool) -> Option<Self> {
        let mut kept = Self { cookie: [0; COOKIE_LEN_MAX], len: cookie.len() as u8, experimental };
        kept.cookie.get_mut(..cookie.len()).filter(|room| !room.is_empty())?.copy_from_slice(cookie);
        Some(kept)
    }

    /// What to show.
    pub fn cookie(&self) -> &[u8] {
        self.cookie.get(..usize::from(self.len)).unwrap_or(&self.cookie)
    }
}

/// What a client remembers of a server (`struct tcp_fastopen_metrics`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// To be shown.
    pub cookie: Option<ServerCookie>,
    /// The server's segment size, for the data of the next SYN.
    pub mss: Option<Mss>,
    /// Which form of the option the next request has.
    pub form: Form,
}

/// The forms of the option (RFC 7413, and the experiment before it): a server that leaves the one unanswered is asked once in
/// the other (`try_exp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// The standard one, unanswered so far.
    #[default]
    Standard,
    /// The experimental one, because the standard one was not answered.
    Experimental,
    /// The standard one again: neither was answered.
    StandardAgain,
}

/// What a SYN-ACK told of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its segment size.
    pub mss: Mss,
    /// The cookie that it brought.
    pub cookie: Option<ServerCookie>,
    /// The form in which to ask next, if it left a request unanswered.
    pub next_form: Form,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    server: IpAddr,
    known: Known,
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

    /// What is known of `server` (`tcp_fastopen_cache_get`).
    pub fn get(&mut self, now: Instant, server: IpAddr) -> Known {
        let found = self.set(server).iter_mut().flatten().find(|entry| entry.server == server);
        found.map_or_else(Known::default, |entry| {
            entry.used_at = now;
            entry.known
        })
    }

    /// True while nobody may send data in a SYN (`tcp_fastopen_active_should_disable`).
    pub fn is_disabled(&self, now: Instant) -> bool {
        now < self.disabled_until
    }

    /// Keeps what a SYN-ACK told (`tcp_fastopen_cache_set`).
    pub fn put(&mut self, now: Instant, server: IpAddr, told: &Told) {
        let set = self.set(server);
        let found = set.iter().position(|place| place.is_some_and(|entry| entry.server == server));
        let oldest = || (0..WAYS).min_by_key(|at| set[*at].map_or(Instant::ZERO, |entry| entry.used_at)).unwrap_or(0);
        let place = found.or_else(|| set.iter().position(Option::is_none)).unwrap_or_else(oldest);
        let mut known = found.and_then(|at| set[at]).map_or_else(Known::default, |entry| entry.known);
        known.mss = Some(told.mss);
        if told.cookie.is_some() {
            known.cookie = told.cookie;
        } else if known.cookie.is_none() {
            known.form = known.form.max(told.next_form);
        }
        set[place] = Some(Entry { server, known, used_at: now });
    }

    /// Forgets all servers.
    pub fn clear(&mut self) {
        self.sets.iter_mut().for_each(|set| *set = [None; WAYS]);
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
        let cookie = |at: u32| told(ServerCookie::new(&at.to_be_bytes(), false), Form::Standard);
        for at in 0..1000 {
            cache.put(Instant::from_millis(u64::from(at)), host(at), &cookie(at));
            cache.put(Instant::from_millis(u64::from(at)), host(0), &cookie(0));
        }
        let mut cookie_of = |at: u32| cache.get(Instant::from_millis(1000), host(at)).cookie;
        let kept = (0..1000).filter(|at| cookie_of(*at).is_some()).count();
        assert!((48..=64).contains(&kept), "{kept}");
        assert_eq!(cookie_of(0).unwrap().cookie(), [0; 4]);
        assert_eq!(ServerCookie::new(&[], false), None);
        assert_eq!(ServerCookie::new(&[0; 17], false), None);
    }

    #[test]
    fn an_unanswered_request_is_repeated_once_in_the_other_form() {
        let mut cache = CookieCache::new(4, Secret::new([7, 8]));
        let mut ask = |form| {
            cache.put(Instant::ZERO, host(1), &told(None, form));
            cache.get(Instant::ZERO, host(1))
        };
        let known = ask(Form::Experimental);
        assert_eq!((known.form, known.mss, known.cookie), (Form::Experimental, Some(Mss::new(1460)), None));
        assert_eq!(ask(Form::StandardAgain).form, Form::StandardAgain);
        assert_eq!(ask(Form::Experimental).form, Form::StandardAgain, "never back");
        cache.clear();
        assert_eq!(cache.get(Instant::ZERO, host(1)), Known::default());
    }

    fn told(cookie: Option<ServerCookie>, next_form: Form) -> Told {
        Told { mss: Mss::new(1460), cookie, next_form }
    }

    #[test]
    fn a_filtering_path_is_left_alone_for_longer_each_time() {
        let mut cache = CookieCache::new(4, Secret::new([7, 8]));
        let hours = |hours: u64| Instant::from_millis(hours * 3_600_000);
        cache.on_blackhole(hours(0));
        assert!(cache.is_disabled(hours(0)) && !cache.is_disabled(hours(1)));
        cache.on_blackhole(hours(1));
        assert!(cache.is_disabled(hours(2)) && !cache.is_disabled(hours(3)));
        cache.on_success();
        cache.on_blackhole(hours(3));
        assert!(!cache.is_disabled(hours(4)));
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
