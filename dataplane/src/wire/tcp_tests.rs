//! Tests of the TCP header and its options.

use super::super::tcp_options::*;
use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::net::Ipv4Addr;

const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

fn pseudo(source: Ipv4Addr, destination: Ipv4Addr, segment: &[u8]) -> Sum {
    Sum::pseudo_header(source, destination, 6, segment.len() as u16)
}

fn emitted(header: &Header<'_>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xee; header.len()];
    assert_eq!(header.emit(&mut bytes), header.len());
    bytes.extend(payload);
    bytes
}

fn options_emitted(options: Options<'_>) -> Vec<u8> {
    let mut bytes = vec![0xee; LEN_MAX];
    let len = options.emit(&mut bytes);
    assert_eq!(len, options.len());
    bytes.truncate(len);
    bytes
}

fn sack(blocks: &[(u32, u32)]) -> SackBlocks {
    let mut list = SackBlocks::NONE;
    assert!(blocks.iter().all(|&(left, right)| list.push(SackBlock { left, right })));
    list
}

fn options(cookie: &[u8]) -> impl Strategy<Value = Options<'_>> {
    let blocks = vec((any::<u32>(), any::<u32>()), 0..=4);
    let times = option::of((any::<u32>(), any::<u32>()));
    let rest = (option::of(1..=u16::MAX), option::of(any::<u8>()), any::<bool>(), option::of(any::<bool>()));
    (rest, times, blocks).prop_map(move |((mss, window_scale, sack_permitted, fast_open), times, blocks)| Options {
        mss,
        window_scale,
        sack_permitted,
        timestamps: times.map(|(value, echo)| Timestamps { value, echo }),
        sack: sack(&blocks),
        fast_open: fast_open.map(|experimental| FastOpen { cookie, experimental }),
    })
}

fn cookies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(0usize), (2..=8usize).prop_map(|half| half * 2)].prop_flat_map(|len| vec(any::<u8>(), len))
}

proptest! {
    #[test]
    fn parse_of_emit_is_the_identity(
        (cookie, options) in cookies().prop_flat_map(|c| {
            let leaked: &'static [u8] = c.leak();
            (Just(leaked), options(leaked))
        }),
        ports: [u16; 2], numbers: [u32; 2], flags: u16, window: u16, urgent: u16, payload in vec(any::<u8>(), 0..200),
    ) {
        let _ = cookie;
        let header = Header {
            source_port: ports[0], destination_port: ports[1], seq: numbers[0], ack: numbers[1],
            flags: Flags::from_bits(flags), window, urgent, options,
        };
        if options.len() > LEN_MAX {
            let mut out = [7; 200];
            prop_assert_eq!(header.emit(&mut out), 0);
            prop_assert_eq!(out, [7; 200]);
            return Ok(());
        }
        let mut bytes = emitted(&header, &payload);
        fill_checksum(pseudo(A, B, &bytes), &mut bytes);
        let read = Tcp::parse(&bytes).unwrap();
        prop_assert_eq!((read.source_port(), read.destination_port()), (ports[0], ports[1]));
        prop_assert_eq!((read.seq(), read.ack()), (numbers[0], numbers[1]));
        prop_assert_eq!((read.flags(), read.window(), read.urgent()), (header.flags, window, urgent));
        prop_assert_eq!(read.options(), options);
        prop_assert_eq!(read.payload(), &payload[..]);
        prop_assert_eq!(read.header_len() % 4, 0);
        prop_assert_eq!(read.verify(pseudo(A, B, &bytes)), Verdict::Good);
        prop_assert_ne!(read.verify(pseudo(A, A, &bytes)), Verdict::Good);
    }

    #[test]
    fn any_bytes_are_answered(mut bytes in vec(any::<u8>(), 0..80), plausible: bool) {
        if let (true, Some(byte)) = (plausible, bytes.get_mut(12)) {
            *byte = 0x50 | (*byte & 0x7f);
        }
        if let Ok(tcp) = Tcp::parse(&bytes) {
            prop_assert!(tcp.walk_options().count() <= LEN_MAX);
            let _ = (tcp.options(), tcp.verify(Sum::new()), format!("{:?}", tcp.flags()));
        }
    }

    #[test]
    fn room_for_sack_is_exact(options in options(&[]), blocks in 0..=4usize) {
        let with = Options { sack: sack(&vec![(1, 2); blocks]), ..options };
        prop_assert_eq!(with.len() <= LEN_MAX || blocks == 0, blocks <= options.sack_room());
    }
}

#[test]
fn a_syn_is_laid_out_as_linux_does() {
    let mut syn = Options {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 0x01020304, echo: 0 }),
        ..Options::NONE
    };
    let linux = [2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7];
    assert_eq!(options_emitted(syn), linux);
    syn.timestamps = None;
    assert_eq!(options_emitted(syn), [2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7]);
    syn.sack_permitted = false;
    assert_eq!(options_emitted(syn), [2, 4, 5, 180, 1, 3, 3, 7]);
    syn.fast_open = Some(FastOpen { cookie: &[], experimental: false });
    assert_eq!(options_emitted(syn), [2, 4, 5, 180, 1, 3, 3, 7, 34, 2, 1, 1]);
    syn.fast_open = Some(FastOpen { cookie: &[9; 8], experimental: false });
    assert_eq!(options_emitted(syn)[8..], [34, 10, 9, 9, 9, 9, 9, 9, 9, 9, 1, 1]);
    syn.fast_open = Some(FastOpen { cookie: &[9; 4], experimental: true });
    assert_eq!(options_emitted(syn)[8..], [254, 8, 0xf9, 0x89, 9, 9, 9, 9]);
}

#[test]
fn data_segments_are_laid_out_as_linux_does() {
    let mut data = Options { timestamps: Some(Timestamps { value: 1, echo: 2 }), ..Options::NONE };
    assert_eq!(options_emitted(data), [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    assert_eq!(data.sack_room(), 3);
    data.sack = sack(&[(3, 4)]);
    assert_eq!(options_emitted(data)[12..], [1, 1, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4]);
    data.timestamps = None;
    assert_eq!(options_emitted(data)[..4], [1, 1, 5, 10]);
    assert_eq!(data.sack_room(), 4);
}

#[test]
fn impossible_options_end_the_list_and_wrong_lengths_are_passed_over() {
    let parse = |bytes: &[u8]| Options::parse(bytes).mss;
    assert_eq!(parse(&[3, 2, 2, 4, 5, 180]), Some(1460), "a window scale without value is passed over");
    assert_eq!(parse(&[2, 4, 0, 0, 2, 4, 5, 180, 2, 3, 9]), Some(1460), "a zero and a short MSS do not count");
    for bytes in [&[3, 1, 2, 4, 5, 180][..], &[3, 0, 2, 4, 5, 180], &[0, 2, 4, 5, 180], &[9, 7, 2, 4, 5, 180], &[9]] {
        assert_eq!(parse(bytes), None, "{bytes:?}");
    }
    let blocks = Options::parse(&[5, 11, 0, 0, 0, 1, 0, 0, 0, 2, 0]).sack;
    assert!(blocks.is_empty(), "half a block");
    assert!(Options::parse(&[34, 5, 1, 2, 3]).fast_open.is_none(), "too short a cookie");
}

#[test]
fn an_unfinished_checksum_is_recognised() {
    let mut bytes = emitted(&Header { source_port: 1, flags: Flags::SYN, ..Header::default() }, b"abc");
    let sum = pseudo(A, B, &bytes);
    bytes[16..18].copy_from_slice(&sum.fold().to_be_bytes());
    assert_eq!(Tcp::parse(&bytes).unwrap().verify(sum), Verdict::PseudoOnly);
    assert_eq!(Tcp::parse(&bytes).unwrap().verify(pseudo(B, B, &bytes)), Verdict::Bad);
}

#[test]
fn the_data_offset_is_checked() {
    let good = emitted(&Header::default(), b"abc");
    for offset in [0x00, 0x40, 0x60, 0xf0] {
        let mut bytes = good.clone();
        bytes[12] = offset;
        assert_eq!(Tcp::parse(&bytes).unwrap_err(), Malformed::BadTcpHeaderLength, "{offset:x}");
    }
    assert_eq!(Tcp::parse(&good[..19]).unwrap_err(), Malformed::Truncated);
}

#[test]
fn flags_count_and_print() {
    let flags = Flags::SYN | Flags::ACK | Flags::FIN;
    assert_eq!(format!("{flags:?} {:?} {:?}", Flags::NONE, Flags::from_bits(0xffff)), "FS. none FSRP.UEWe+7");
    assert_eq!(flags.sequence_len(), 2);
    assert!(flags.contains(Flags::SYN | Flags::ACK) && !flags.contains(Flags::SYN | Flags::RST));
    assert!(flags.intersects(Flags::SYN | Flags::RST) && flags.without(Flags::FIN) == Flags::SYN | Flags::ACK);
}
