//! Tests of the IPv4 header.

use super::*;
use crate::wire::compose;
use proptest::collection::vec;
use proptest::prelude::*;

/// Headers with valid fields over options of any bytes.
fn header(options: &[u8]) -> impl Strategy<Value = Header<'_>> {
    let numbers = (any::<u8>(), any::<u16>(), 0..0x2000u16, any::<u8>(), any::<u8>());
    (numbers, any::<[bool; 2]>(), any::<[u32; 2]>()).prop_map(
        move |((tos, ident, offset, ttl, protocol), [dont_fragment, more_fragments], [source, destination])| Header {
            tos,
            ident,
            dont_fragment,
            more_fragments,
            fragment_offset: offset << 3,
            ttl,
            protocol: Protocol(protocol),
            source: source.into(),
            destination: destination.into(),
            options,
        },
    )
}

fn packet() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (vec(any::<u8>(), 0..=40), vec(any::<u8>(), 0..100))
}

fn emitted(header: &Header<'_>, payload: &[u8]) -> Vec<u8> {
    compose::ipv4(header, payload)
}

proptest! {
    #[test]
    fn parse_of_emit_is_the_identity(
        ((options, payload), plain) in packet().prop_flat_map(|p| (Just(p), header(&[]))), padding in 0..30usize
    ) {
        let written = Header { options: &options, ..plain };
        let mut bytes = emitted(&written, &payload);
        bytes.resize(bytes.len() + padding, 0xaa);
        let read = Ipv4::parse(&bytes).unwrap();
        let mut padded = options.clone();
        padded.resize(options.len().next_multiple_of(4), 0);
        prop_assert_eq!(read.to_header(), Header { options: &padded, ..plain });
        prop_assert_eq!(read.payload(), &payload[..]);
        prop_assert_eq!(usize::from(read.total_len()), read.header_len() + payload.len());
        prop_assert!(read.checksum_ok());
        prop_assert_eq!(read.is_fragment(), written.more_fragments || written.fragment_offset != 0);
        prop_assert_eq!((read.dscp() << 2) | read.ecn(), written.tos);
    }

    #[test]
    fn setters_keep_the_checksum_exact(
        plain in header(&[]), options in vec(any::<u8>(), 0..=40), new: (u32, u32, u8, u16), decrements in 0..300u32
    ) {
        let written = Header { options: &options, ..plain };
        let mut bytes = emitted(&written, &[]);
        let mut view = Ipv4Mut::parse(&mut bytes).unwrap();
        view.set_source(new.0.into());
        view.set_destination(new.1.into());
        view.set_tos(new.2);
        view.set_ident(new.3);
        for _ in 0..decrements {
            view.decrement_ttl();
        }
        let expected = Header {
            source: new.0.into(),
            destination: new.1.into(),
            tos: new.2,
            ident: new.3,
            ttl: written.ttl.saturating_sub(decrements.min(255) as u8),
            ..written
        };
        prop_assert_eq!(&bytes, &emitted(&expected, &[]), "incremental and recomputed differ");
        let mut view = Ipv4Mut::parse(&mut bytes).unwrap();
        view.options_mut().fill(1);
        view.fill_checksum();
        prop_assert!(Ipv4::parse(&bytes).unwrap().checksum_ok());
    }

    #[test]
    fn one_flipped_bit_is_noticed(plain in header(&[]), bit in 0..160usize) {
        let mut bytes = emitted(&plain, &[]);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!Ipv4::parse(&bytes).is_ok_and(|packet| packet.checksum_ok()));
    }

    #[test]
    fn any_bytes_are_answered(mut bytes in vec(any::<u8>(), 0..80), plausible: bool) {
        if let (true, Some(first)) = (plausible, bytes.first_mut()) {
            *first = 0x40 | (*first & 0x0f);
        }
        if let Ok(packet) = Ipv4::parse(&bytes) {
            prop_assert!(packet.options().count() <= 40);
            let _ = (packet.checksum_ok(), packet.to_header());
        }
        if let Ok(mut view) = Ipv4Mut::parse(&mut bytes) {
            view.decrement_ttl();
        }
    }
}

#[test]
fn each_contradiction_has_its_name() {
    let good = emitted(&Header::new(Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, Protocol::UDP), &[1, 2, 3]);
    let broken = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Ipv4::parse(&bytes).unwrap_err()
    };
    assert_eq!(broken(0, 0x65), Malformed::BadVersion);
    assert_eq!(broken(0, 0x44), Malformed::BadHeaderLength, "below 20 bytes");
    assert_eq!(broken(0, 0x46), Malformed::BadHeaderLength, "beyond the packet");
    assert_eq!(broken(3, 24), Malformed::BadTotalLength, "beyond the packet");
    assert_eq!(broken(3, 19), Malformed::BadTotalLength, "within the header");
    assert_eq!(Ipv4::parse(&good[..19]).unwrap_err(), Malformed::Truncated);
}

#[test]
fn what_no_header_can_hold_is_not_written() {
    let header = |options| Header {
        tos: 0,
        ident: 0,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 1,
        protocol: Protocol::ICMP,
        source: Ipv4Addr::LOCALHOST,
        destination: Ipv4Addr::LOCALHOST,
        options,
    };
    let mut out = [7; 80];
    assert_eq!(header(&[1; 41]).emit(0, &mut out), 0);
    assert_eq!(header(&[]).emit(65_516, &mut out), 0);
    assert_eq!(header(&[]).emit(0, &mut out[..19]), 0);
    assert_eq!(out, [7; 80]);
    assert_eq!(header(&[]).emit(65_515, &mut out), 20);
}
