//! What the kernel says about a frame beside its bytes: `struct virtio_net_hdr`.
//!
//! ```text
//!   0      1         2         4          6            8             10
//!   flags  gso_type  hdr_len   gso_size   csum_start   csum_offset
//! ```
//!
//! Numbers are in the machine's order on a packet socket.

/// Bytes of `struct virtio_net_hdr`.
pub(super) const VNET_BYTES: usize = 10;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the checksum is not finished.
const NEEDS_CSUM: u8 = 1;

/// The header of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vnet {
    flags: u8,
    gso_type: u8,
    csum_start: u16,
    csum_offset: u16,
}

impl Vnet {
    pub(super) fn parse(bytes: &[u8; VNET_BYTES]) -> Self {
        let [flags, gso_type, _, _, _, _, s0, s1, o0, o1] = *bytes;
        let (csum_start, csum_offset) = (u16::from_ne_bytes([s0, s1]), u16::from_ne_bytes([o0, o1]));
        Self { flags, gso_type, csum_start, csum_offset }
    }

    /// More than fits a frame, to be cut up by hardware; or put together by it.
    pub(super) fn is_several_segments(&self) -> bool {
        self.gso_type != 0
    }

    /// Finishes the transport checksum of `frame` if it is not. The field holds the sum of the pseudo-header so far, which is
    /// summed up with the rest (RFC 1071). False if the header points outside of the frame.
    pub(super) fn finish_checksum(&self, frame: &mut [u8]) -> bool {
        if self.flags & NEEDS_CSUM == 0 {
            return true;
        }
        let Some(segment) = frame.get_mut(usize::from(self.csum_start)..) else { return false };
        let sum = ones_complement_sum(segment);
        let at = usize::from(self.csum_offset);
        let Some(field) = segment.get_mut(at..at + 2) else { return false };
        // UDP has no zero (RFC 768): it would mean "no checksum". For TCP both zeros are the same.
        let checksum = if sum == 0xffff { 0xffff } else { !sum };
        field.copy_from_slice(&checksum.to_be_bytes());
        true
    }
}

fn ones_complement_sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [last] => u64::from(last) << 8,
        _ => 0,
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfinished(csum_start: u16, csum_offset: u16) -> Vnet {
        Vnet { flags: NEEDS_CSUM, csum_start, csum_offset, ..Vnet::default() }
    }

    #[test]
    fn fields_stand_where_the_kernel_puts_them() {
        let mut bytes = [1, 4, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes[6..8].copy_from_slice(&34u16.to_ne_bytes());
        bytes[8..].copy_from_slice(&16u16.to_ne_bytes());
        let vnet = Vnet::parse(&bytes);
        assert_eq!(vnet, Vnet { gso_type: 4, ..unfinished(34, 16) });
        assert!(vnet.is_several_segments());
    }

    #[test]
    fn an_unfinished_checksum_is_finished_and_a_finished_one_is_left() {
        // An odd number of bytes, the field in the middle with 0x1234 in it already.
        let mut frame = *b"__ab\x12\x34c";
        assert!(unfinished(2, 2).finish_checksum(&mut frame));
        // 0x6162 + 0x1234 + 0x6300 = 0xd696, whose complement is 0x2969.
        assert_eq!(frame, *b"__ab\x29\x69c");
        assert!(Vnet::default().finish_checksum(&mut frame));
        assert_eq!(frame, *b"__ab\x29\x69c");
    }

    #[test]
    fn a_sum_of_zero_is_written_as_all_ones() {
        let mut frame = [0xff, 0xfe, 0, 1];
        assert!(unfinished(0, 2).finish_checksum(&mut frame));
        assert_eq!(frame, [0xff, 0xfe, 0xff, 0xff]);
    }

    #[test]
    fn a_header_that_points_outside_is_refused() {
        for (start, offset) in [(5, 0), (4, 0), (0, 3), (u16::MAX, u16::MAX)] {
            assert!(!unfinished(start, offset).finish_checksum(&mut [0; 4]), "{start} {offset}");
        }
    }
}
