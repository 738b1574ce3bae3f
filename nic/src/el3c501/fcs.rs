//! The frame check sequence (IEEE 802.3 clause 3.2.9): CRC-32, reflected, polynomial 0xEDB88320.

const TABLE: [u32; 256] = table();

/// The check sequence of `bytes`.
pub fn fcs(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)];
    !bytes.iter().fold(u32::MAX, step)
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let (mut crc, mut bit) = (i as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_check_value_of_crc32() {
        assert_eq!(fcs(b"123456789"), 0xcbf4_3926);
    }
}
