//! The datagrams of the demo: numbered, of several sizes, their content known to both who send and who check.

/// Payload bytes, in turn: less than Ethernet's minimum, some usual ones, the most that fits a frame.
pub const SIZES: [usize; 6] = [8, 18, 64, 512, 1024, 1472];

/// The payload of datagram `number`.
pub fn payload(number: u32) -> Vec<u8> {
    let size = SIZES.get(number as usize % SIZES.len()).copied().unwrap_or(8);
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend((4..size).map(|place| (number as usize).wrapping_mul(31).wrapping_add(place) as u8));
    bytes
}

/// The number of a datagram, if it is one of ours, whole and as it was sent.
pub fn check(bytes: &[u8]) -> Option<u32> {
    let number = u32::from_be_bytes(*bytes.first_chunk::<4>()?);
    (bytes == payload(number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_again_and_any_change_is_seen() {
        for number in 0..64 {
            let whole = payload(number);
            assert_eq!(whole.len(), SIZES[number as usize % SIZES.len()]);
            assert_eq!(check(&whole), Some(number));
            assert_eq!(check(&whole[..whole.len() - 1]), None);
            for at in 0..whole.len() {
                let mut changed = whole.clone();
                changed[at] ^= 0x40;
                assert_eq!(check(&changed), None, "{number}, byte {at}");
            }
        }
    }
}
