use super::*;

const EXAMPLE: &str = include_str!("../../../../docs/xmit.toml");
const SMALL: &str = "[[lane]]\ncore = 0\n[[interface]]\nname = \"eth1\"\naddresses = [\"10.0.0.2/24\"]\n";

fn machine() -> Machine {
    Machine { cores: vec![0, 1], links: vec!["lo".into(), "eth1".into(), "eth2".into()] }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("xmit.toml"), &machine())
}

/// The message for `text`, which must be refused.
fn refusal(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn the_example_is_accepted_and_its_comments_are_the_defaults() {
    let plain = parse(EXAMPLE).unwrap();
    let uncommented: String = EXAMPLE
        .lines()
        .filter(|line| !line.contains("allowed_"))
        .map(|line| match line.strip_prefix("# ") {
            Some(field) if field.split('=').next().is_some_and(|name| !name.trim().contains(' ')) => field,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(uncommented.contains("\nspin = ") && uncommented.contains("\nmemory = "));
    let mut written_out = parse(&uncommented).unwrap();
    assert_eq!(written_out.interfaces[0].mtu.take(), Some(1500));
    assert_eq!(written_out.interfaces[0].queues.take(), Some(vec![0]));
    assert_eq!(written_out.interfaces[0].vlan.take(), Some(5));
    assert_eq!(written_out.routes[0].interface.take().as_deref(), Some("eth1"));
    assert_eq!(written_out.routes[0].source.take(), Some([10, 77, 0, 2].into()));
    assert_eq!(written_out.routes[0].mtu.take(), Some(1500));
    assert_eq!(written_out, plain);
}

#[test]
fn mistakes_of_form_are_told_with_line_column_and_cure() {
    let cases = [
        ("[[lane]]\ncor = 0\n", "xmit.toml:2:1: unknown field `cor`; did you mean `core`? (known here: core, spin,"),
        ("[deamon]\n", "xmit.toml:1:2: unknown field `deamon`; did you mean `daemon`?"),
        ("[[lane]]\ncore = 0\nspin = 50\n", "xmit.toml:3:8: invalid type: integer `50`, expected a string"),
        ("[[lane]]\ncore = 0\nspin = \"50\"\n", "xmit.toml:3:8: `50` is not a time: write a whole number and"),
        ("[[lane]]\ncore = 0\nframe_size = \"2kb\"\n", "xmit.toml:3:14: `2kb` is not a size"),
        ("[[lane]]\nspin = \"1us\"\n", "xmit.toml:1:1: missing field `core`"),
        ("[[interface]]\nname = \"e\"\naddresses = [\"10.0.0.1\"]\n", "`10.0.0.1` is not an address with the length"),
        ("[[interface]]\nname = \"e\"\nmac = \"02:60\"\n", "xmit.toml:3:7: a MAC address is six"),
        ("[[interface]]\nname = \"e\"\nkind = \"afxdp\"\n", "unknown variant `afxdp`; did you mean `af_xdp`?"),
        ("[[interface]\n", "xmit.toml:1:"),
    ];
    for (text, expected) in cases {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}gave  {message}\nnot   {expected}");
    }
}

#[test]
fn mistakes_of_meaning_are_told_with_their_line() {
    let interface = |more: &str| format!("{SMALL}{more}");
    let cases = [
        (String::new(), "there is no lane"),
        ("[[lane]]\ncore = 9\n".into(), "xmit.toml:2:8: this process cannot run on core 9; choose one of 0, 1"),
        (format!("[[lane]]\ncore = 0\n{SMALL}"), "xmit.toml:4:8: core 0 is taken by lane 0 already"),
        (interface("lanes = [0, 1]\n"), "xmit.toml:6:9: there is no lane 1; lanes are numbered from 0 to 0"),
        (interface("queues = [0, 1]\n"), "2 queues for 1 lanes"),
        (interface("lanes = [0, 0]\nqueues = [3, 3]\n"), "a queue stands here twice"),
        (interface("ring = 1000\n"), "xmit.toml:6:8: a ring of 1000 descriptors"),
        (interface("ring = 32768\n"), "xmit.toml:1:1: 16384 frames are fewer than the 66560 that lane 0 needs"),
        (interface("mtu = 40\n"), "xmit.toml:6:7: IPv4 needs an MTU of 68"),
        (interface("mtu = 1900\n"), "a datagram of 1900 bytes does not fit a frame, which has room for 1774"),
        (interface("mac = \"02:00:00:00:00:01\"\n"), "a NIC of the kernel keeps its own address"),
        (interface("gateway = \"10.9.0.1\"\n"), "xmit.toml:6:11: 10.9.0.1 is no neighbour on eth1"),
        (interface("kind = \"tap\"\nlanes = [0, 0]\n"), "an interface of kind tap has one queue"),
        (interface("kind = \"el3c501\"\n"), "the card is on no segment; add [interface.el3c501]"),
        (interface("[interface.el3c501]\nsegment = \"s\"\n"), "an interface of kind af_xdp has no card"),
        (interface("[[interface]]\nname = \"eth1\"\n"), "xmit.toml:7:8: interface eth1 stands here twice"),
        (interface("[[interface]]\nname = \"eth3\"\n"), "no interface eth3; did you mean `eth1`? this network"),
        (interface("[[interface]]\nname = \"xm0\"\nkind = \"tap\"\n"), "has no addresses of the kernel to adopt"),
        (
            interface("[[interface]]\nname = \"eth2\"\naddresses = [\"10.0.0.9/16\"]\n"),
            "xmit.toml:8:14: the network of 10.0.0.9/16 overlaps that of 10.0.0.2/24 on eth1",
        ),
        (interface("[[route]]\ndestination = \"10.1.2.3/8\"\nvia = \"10.0.0.1\"\n"), "write \"10.0.0.0/8\""),
        (interface("[[route]]\ndestination = \"10.0.0.0/8\"\n"), "this route leads nowhere"),
        (interface("[[route]]\ndestination = \"10.0.0.0/8\"\nvia = \"1.1.1.1\"\n"), "1.1.1.1 is in no network"),
        (
            interface("[[neighbor]]\ninterface = \"eth9\"\naddress = \"10.0.0.1\"\nmac = \"01:00:00:00:00:00\"\n"),
            "xmit.toml:7:13: there is no interface eth9; name one of [[interface]]: eth1",
        ),
        (format!("[client]\nring = \"100KiB\"\n{SMALL}"), "xmit.toml:2:8: a ring of 100KiB cannot be made"),
        (format!("[daemon]\nlog = \"a=b=c\"\n{SMALL}"), "`a=b=c` is not a log filter"),
        (format!("[daemon]\nsession_socket = \"x\"\n{SMALL}"), "`x` cannot be the path of a socket"),
    ];
    for (text, expected) in cases {
        let message = refusal(&text);
        assert!(message.contains(expected), "{text}gave  {message}\nnot   {expected}");
    }
}

#[test]
fn addresses_that_are_no_host_are_refused() {
    for bad in ["10.0.0.0/24", "10.0.0.255/24", "224.0.0.1/24", "127.0.0.1/8", "0.1.2.3/24", "10.0.0.1/0"] {
        let text = SMALL.replace("10.0.0.2/24", bad);
        assert!(refusal(&text).contains("cannot be the address of a host"), "{bad}");
    }
    for good in ["10.0.0.0/31", "10.0.0.1/32"] {
        parse(&SMALL.replace("10.0.0.2/24", good)).unwrap();
    }
}

#[test]
fn a_segment_has_one_lane_and_one_other_end() {
    let card = |name: &str, net: u8, lane: u32, join: &str| {
        format!(
            "[[interface]]\nname = \"{name}\"\nkind = \"el3c501\"\nlanes = [{lane}]\naddresses = [\"10.{net}.0.2/24\"]\n\
             [interface.el3c501]\nsegment = \"coax\"\n{join}"
        )
    };
    let lanes = "[[lane]]\ncore = 0\n[[lane]]\ncore = 1\n";
    let two = |lane, join: &str| format!("{lanes}{}{}", card("el0", 1, 0, ""), card("el1", 2, lane, join));
    parse(&two(0, "join = \"tap:xm0\"\n")).unwrap();
    assert!(refusal(&two(1, "")).contains("el0 and el1 share segment coax, not a lane"));
    assert!(refusal(&two(0, "join = \"tap:el0\"\n")).contains("el0 is an interface of the daemon already"));
    assert!(refusal(&two(0, "join = \"af_xdp:eth7\"\n")).contains("the kernel has no interface eth7"));
    assert!(refusal(&two(0, "join = \"veth0\"\n")).contains("names nothing to join"));
    let both =
        format!("{lanes}{}{}", card("el0", 1, 0, "join = \"tap:xm0\"\n"), card("el1", 2, 0, "join = \"tap:xm1\"\n"));
    assert!(refusal(&both).contains("joined to something else already by el0"));
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = format!("[[lane]]\ncore = 5\n{SMALL}mtu = 5\nlanes = [7]\n");
    let lines: Vec<_> = parse(&text).unwrap_err().mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [2, 8, 9]);
}

#[test]
fn a_missing_file_is_one_sentence() {
    let error = Config::load(Path::new("/nowhere/xmit.toml"), &machine()).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/xmit.toml: cannot be read: ") && error.contains("--config"), "{error}");
}

#[test]
fn the_example_is_explained() {
    let text = explain::explain(&parse(EXAMPLE).unwrap()).join("\n");
    for expected in [
        "Lane 0 runs on core 0 with 16384 frames of 2KiB (32MiB of ordinary pages), and sleeps after 50us without work.",
        "eth1 is taken through AF_XDP (native XDP where the driver has it, else generic; zero-copy",
        "It answers for 10.77.0.2/24 itself; all other packets stay with the kernel. Packets to elsewhere go via 10.77.0.1.",
        "el0 is an emulated 3C501 at 10 Mbit/s, 02:60:8c:00:00:02, on segment coax0 joined to the tap xm0",
        "Packets to 192.168.0.0/16 go via 10.77.0.254.",
        "Everybody may connect: up to 64 clients",
    ] {
        assert!(text.contains(expected), "{expected}\nis not in\n{text}");
    }
}

#[test]
fn a_reload_changes_what_can_change_live_or_nothing() {
    let running = parse(EXAMPLE).unwrap();
    let reload = |from: &str, to: &str| {
        assert!(EXAMPLE.contains(from), "{from}");
        reload::changes(&running, &parse(&EXAMPLE.replace(from, to)).unwrap())
    };
    assert_eq!(reload::changes(&running, &running), Ok(vec![]));
    let new = reload("[\"10.77.0.2/24\"]", "[\"10.77.0.3/24\"]").unwrap();
    assert_eq!(new, ["addresses of eth1 are now 10.77.0.3/24"]);
    assert_eq!(reload("# log = \"info\"", "log = \"debug\"").unwrap(), ["log is now `debug`"]);
    assert_eq!(reload("# packets_per_second = 0", "packets_per_second = 5").unwrap().len(), 1);
    assert_eq!(reload("via = \"10.77.0.254\"", "via = \"10.77.0.253\"").unwrap(), ["routes are now 1"]);
    let refused = |from: &str, to: &str| reload(from, to).unwrap_err().0;
    assert_eq!(refused("core = 0", "core = 1"), ["lane 0"]);
    assert_eq!(refused("name = \"el0\"", "name = \"el1\""), ["removal of interface el0", "new interface el1"]);
    assert_eq!(refused("# mtu = 1500 ", "mtu = 900 "), ["interface eth1 (anything but addresses and gateway)"]);
    assert_eq!(refused("# session_socket = \"/run/xmit/s", "session_socket = \"/run/xmit/t").len(), 1);
    let mut swapped = running.clone();
    swapped.interfaces.swap(0, 1);
    assert_eq!(reload::changes(&running, &swapped).unwrap_err().0, ["the order of the interfaces"]);
    let adopting = parse(&SMALL.replace("addresses = [\"10.0.0.2/24\"]\n", "")).unwrap();
    let refused = reload::changes(&parse(SMALL).unwrap(), &adopting).unwrap_err().0;
    assert_eq!(refused[0], "adopted or own addresses of eth1");
}
