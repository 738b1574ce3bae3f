use super::*;
use std::fs::File;
use std::net::Ipv4Addr;
use std::process::Command;
use xmit_dataplane::route::Prefix;
use xmit_nic::MacAddr;
use xmit_shared::Instant;

/// Runs `test` on a thread of its own in an empty network namespace that ends with it. `test` gets a function that
/// runs `ip` with the words of a line.
fn in_namespace(name: &str, test: impl FnOnce(&dyn Fn(&str)) + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED {name}: a network namespace needs root");
        return;
    }
    let namespace = format!("xmitd-{name}-{}", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &namespace]).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("SKIPPED {name}: `ip netns add` does not work here");
        return;
    }
    // The descriptor keeps the namespace; without its name, nothing is left whatever happens next.
    let handle = File::open(format!("/run/netns/{namespace}")).unwrap();
    ip(&format!("netns del {namespace}"));
    let body = move || {
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&handle), kind).unwrap();
        test(&ip);
    };
    let outcome = std::thread::spawn(body).join();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// `ip` in the network namespace of the calling thread.
fn ip(line: &str) {
    let status = Command::new("ip").args(line.split(' ')).status().unwrap();
    assert!(status.success(), "ip {line}");
}

/// A clock that stands still unless told, and a limit to how often something is tried.
struct Clock(Instant);

impl Clock {
    /// Updates until `done`; the notices are in the socket already, so only deadlines pass.
    fn update_until(&mut self, follower: &mut Follower, what: &str, done: impl Fn(&KernelView) -> bool) {
        for _ in 0..100 {
            follower.update(self.0).unwrap();
            if done(follower.view()) {
                return;
            }
            self.0 = self.0.max(follower.next_deadline().unwrap_or(self.0));
        }
        panic!("{what}: {:#?}", follower.view());
    }
}

fn cidr(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn has_address(view: &KernelView, name: &str, address: &str) -> bool {
    view.interface(name).is_some_and(|link| link.addresses.iter().any(|a| a.cidr == cidr(address)))
}

fn route_to<'a>(view: &'a KernelView, destination: &str) -> Option<&'a KernelRoute> {
    view.routes.iter().find(|route| route.destination == cidr(destination))
}

#[test]
fn everything_is_read() {
    in_namespace("everything_is_read", |ip| {
        ip("link add va address 02:00:00:00:00:0a mtu 1400 type veth peer name vb");
        ip("link add br0 type bridge");
        ip("link set vb master br0");
        ip("addr add 10.77.0.2/24 brd + dev va");
        ip("addr add 10.77.0.3/24 dev va");
        ip("link set va up");
        ip("link set vb up");
        ip("route add default via 10.77.0.1 metric 5");
        ip("route add 10.9.0.0/16 via 10.77.0.9 dev va src 10.77.0.3 mtu 1300");
        ip("route add 10.8.0.0/16 nexthop via 10.77.0.8 weight 1 nexthop via 10.77.0.9 weight 3");
        ip("route add blackhole 10.7.0.0/16");
        ip("route add 10.6.0.0/16 dev va table 100");
        ip("neigh add 10.77.0.9 lladdr 02:00:00:00:00:09 dev va nud permanent");
        let follower = Follower::open().unwrap();
        let view = follower.view();
        assert_eq!(view.generation, 1);

        let (va, vb) = (view.interface("va").unwrap(), view.interface("vb").unwrap());
        assert_eq!((va.mac, va.mtu, va.up, va.carrier), (Some(MacAddr([2, 0, 0, 0, 0, 10])), 1400, true, true));
        assert_eq!((va.kind.as_str(), va.master), ("veth", None));
        assert_eq!(vb.master, Some(view.interface("br0").unwrap().index));
        assert!(!view.interface("lo").unwrap().up);
        let broadcast = Some(Ipv4Addr::new(10, 77, 0, 255));
        assert_eq!(va.addresses[0], KernelAddress { cidr: cidr("10.77.0.2/24"), broadcast });
        assert_eq!(va.addresses[1], KernelAddress { cidr: cidr("10.77.0.3/24"), broadcast: None });

        let hop = |last, weight| NextHop { via: Some(Ipv4Addr::new(10, 77, 0, last)), interface: va.index, weight };
        let default = route_to(view, "0.0.0.0/0").unwrap();
        assert_eq!((default.metric, &default.next_hops[..]), (5, &[hop(1, 1)][..]));
        let special = route_to(view, "10.9.0.0/16").unwrap();
        assert_eq!((special.source, special.mtu), (Some(Ipv4Addr::new(10, 77, 0, 3)), Some(1300)));
        assert_eq!(route_to(view, "10.8.0.0/16").unwrap().next_hops, [hop(8, 1), hop(9, 3)]);
        assert_eq!(route_to(view, "10.7.0.0/16").unwrap().kind, RouteKind::Blackhole);
        let connected = route_to(view, "10.77.0.0/24").unwrap();
        assert_eq!(connected.origin, RouteOrigin::Address);
        assert_eq!(connected.next_hops, [NextHop { via: None, interface: va.index, weight: 1 }]);
        assert_eq!(route_to(view, "10.6.0.0/16"), None, "another table");

        let known: Vec<_> = view.neighbours.iter().filter(|n| n.interface == va.index).collect();
        assert_eq!(known.len(), 1);
        assert_eq!((known[0].mac, known[0].state), (Some(MacAddr([2, 0, 0, 0, 0, 9])), NeighbourState::Permanent));
        assert_eq!(follower.stats(), FollowerStats::default());
    });
}

#[test]
fn changes_are_followed() {
    in_namespace("changes_are_followed", |ip| {
        ip("link add d0 type veth peer name d1");
        let mut follower = Follower::open().unwrap();
        let mut clock = Clock(Instant::from_millis(1000));
        assert!(!follower.update(clock.0).unwrap(), "nothing happened");
        assert_eq!(follower.next_deadline(), None);

        ip("addr add 10.1.0.1/24 dev d0");
        ip("link set d0 up mtu 1200");
        clock.update_until(&mut follower, "address and link", |view| {
            has_address(view, "d0", "10.1.0.1/24") && view.interface("d0").is_some_and(|d| d.up && d.mtu == 1200)
        });
        ip("route add 10.2.0.0/16 via 10.1.0.9");
        ip("neigh add 10.1.0.9 lladdr 02:00:00:00:00:09 dev d0 nud stale");
        clock.update_until(&mut follower, "route and neighbour", |view| {
            route_to(view, "10.2.0.0/16").is_some() && view.neighbours.iter().any(|n| n.state == NeighbourState::Stale)
        });
        ip("neigh change 10.1.0.9 lladdr 02:00:00:00:00:0a dev d0 nud permanent");
        clock.update_until(&mut follower, "another address of the neighbour", |view| {
            view.neighbours.iter().any(|n| n.mac == Some(MacAddr([2, 0, 0, 0, 0, 10])))
        });
        ip("neigh del 10.1.0.9 dev d0");
        clock.update_until(&mut follower, "no neighbour", |view| {
            !view.neighbours.iter().any(|n| n.address == Ipv4Addr::new(10, 1, 0, 9))
        });
        // The kernel removes the routes of a link that goes down without a word.
        ip("link set d0 down");
        clock.update_until(&mut follower, "no route", |view| route_to(view, "10.2.0.0/16").is_none());
        let generation = follower.view().generation;
        ip("link del d0");
        clock.update_until(&mut follower, "no link", |view| view.interface("d0").is_none());
        assert!(follower.view().generation > generation);
        assert!(!follower.update(clock.0).unwrap(), "all was told");
    });
}

#[test]
fn lost_notices_lead_to_reading_anew() {
    in_namespace("lost_notices_lead_to_reading_anew", |ip| {
        ip("link add d0 type veth peer name d1");
        ip("link set d0 up");
        ip("link set d1 up");
        let mut follower = Follower::open().unwrap();
        follower.shrink_buffer();
        for host in 1..=60 {
            ip(&format!("addr add 10.{host}.0.1/24 dev d0"));
            ip(&format!("neigh add 10.{host}.0.9 lladdr 02:00:00:00:00:09 dev d0 nud permanent"));
        }
        ip("neigh del 10.60.0.9 dev d0");
        let mut clock = Clock(Instant::from_millis(1000));
        clock.update_until(&mut follower, "everything", |view| {
            (1..=60).all(|host| has_address(view, "d0", &format!("10.{host}.0.1/24")))
                && view.neighbours.iter().filter(|n| n.state == NeighbourState::Permanent).count() == 59
        });
        assert!(follower.stats().overruns > 0, "{:?}", follower.stats());
    });
}

#[test]
fn readings_keep_their_distance() {
    in_namespace("readings_keep_their_distance", |ip| {
        ip("link add d0 type veth peer name d1");
        let mut follower = Follower::open().unwrap();
        let start = Instant::from_millis(1000);
        ip("addr add 10.1.0.1/24 dev d0");
        assert!(follower.update(start).unwrap(), "the first change is read at once");
        ip("addr add 10.2.0.1/24 dev d0");
        assert!(!follower.update(start).unwrap());
        let deadline = follower.next_deadline().unwrap();
        assert!(deadline > start);
        assert!(follower.update(deadline).unwrap());
        assert!(has_address(follower.view(), "d0", "10.2.0.1/24"));
        assert_eq!(follower.next_deadline(), None);
        assert_eq!(follower.stats().readings, 2);
    });
}

#[test]
fn the_kernel_resolves_a_neighbour_for_us() {
    in_namespace("the_kernel_resolves_a_neighbour_for_us", |ip| {
        ip("link add va type veth peer name vb");
        ip("addr add 10.77.0.2/24 dev va");
        ip("link set va up");
        ip("link set vb up");
        let mut follower = Follower::open().unwrap();
        let index = follower.view().interface("va").unwrap().index;
        let asked = Ipv4Addr::new(10, 77, 0, 1);
        follower.resolve(index, asked).unwrap();
        // Nobody answers; the kernel tells of the outcome only, so that it asks is seen by reading anew.
        let asking = Follower::open().unwrap();
        let entry = asking.view().neighbours.iter().find(|n| n.address == asked);
        assert_eq!(entry.map(|n| (n.interface, n.state)), Some((index, NeighbourState::Incomplete)));
        let error = follower.resolve(9999, asked).unwrap_err().to_string();
        assert!(error.contains("have a neighbour resolved") && error.contains("No such device"), "{error}");
    });
}

#[test]
fn its_descriptor_wakes_an_event_loop() {
    in_namespace("its_descriptor_wakes_an_event_loop", |ip| {
        let mut follower = Follower::open().unwrap();
        let mut poll = mio::Poll::new().unwrap();
        poll.registry().register(&mut follower, mio::Token(7), mio::Interest::READABLE).unwrap();
        ip("link add d0 type veth peer name d1");
        let mut events = mio::Events::with_capacity(4);
        poll.poll(&mut events, Some(std::time::Duration::from_secs(5))).unwrap();
        assert!(events.iter().any(|event| event.token() == mio::Token(7)));
        assert!(follower.update(Instant::from_millis(1)).unwrap());
        assert!(follower.view().interface("d0").is_some());
    });
}
