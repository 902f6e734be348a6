//! Positions in the write-ahead log.

use std::{fmt, str::FromStr};

/// A position in the write-ahead log, in bytes from its beginning; as text two hexadecimal halves, `16/B374D848`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Where the segment file `name` begins, in a server with segments of `segment` bytes; none of another file's name.
    pub fn of_segment(name: &str, segment: u64) -> Option<Self> {
        if name.len() != 24 || segment == 0 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let part = |from: usize| u64::from_str_radix(&name[from..from + 8], 16).ok();
        // The timeline comes first. The second part counts 4 GiB, the third the segments in them.
        part(8)?.checked_shl(32)?.checked_add(part(16)?.checked_mul(segment)?).map(Self)
    }
}

impl FromStr for Lsn {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (high, low) = text.split_once('/').ok_or(())?;
        let half = |text| u32::from_str_radix(text, 16).map(u64::from).map_err(|_| ());
        Ok(Self(half(high)? << 32 | half(low)?))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_as_the_server_writes_them() {
        assert_eq!("16/B374D848".parse(), Ok(Lsn(0x16_B374_D848)));
        assert_eq!(Lsn(0x16_B374_D848).to_string(), "16/B374D848");
        for wrong in ["", "1", "1/", "/1", "1/x", "1/100000000", "-1/0"] {
            assert_eq!(wrong.parse::<Lsn>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn segments_begin_where_their_names_say() {
        let segment = 16 << 20;
        assert_eq!(Lsn::of_segment("000000010000000000000003", segment), Some(Lsn(0x300_0000)));
        assert_eq!(Lsn::of_segment("0000000200000016000000B3", segment), Some(Lsn(0x16_B300_0000)));
        assert_eq!(Lsn::of_segment("archive_status", segment), None);
        assert_eq!(Lsn::of_segment("00000002.history", segment), None);
    }
}
