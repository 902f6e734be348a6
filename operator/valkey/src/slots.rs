//! Sets of hash slots.

use std::fmt;

/// How many slots a cluster has.
pub const SLOTS: u16 = 16384;

/// A set of hash slots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slots(Box<[u64; WORDS]>);

const WORDS: usize = SLOTS as usize / 64;

impl Slots {
    /// None.
    pub fn none() -> Self {
        Self(Box::new([0; WORDS]))
    }

    /// All of a cluster.
    pub fn all() -> Self {
        Self(Box::new([u64::MAX; WORDS]))
    }

    /// From `first` to `last`, both included.
    pub fn range(first: u16, last: u16) -> Self {
        (first..=last).collect()
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Whether a slot is among them.
    pub fn contains(&self, slot: u16) -> bool {
        self.0.get(usize::from(slot / 64)).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    /// Adds a slot; one that no cluster has is left out.
    pub fn insert(&mut self, slot: u16) {
        if let Some(word) = self.0.get_mut(usize::from(slot / 64)) {
            *word |= 1 << (slot % 64);
        }
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().zip(0..).flat_map(|(word, at)| bits(*word).map(move |bit| at * 64 + bit))
    }

    /// As ranges of first and last, in ascending order: what the servers' commands take.
    pub fn ranges(&self) -> Vec<(u16, u16)> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for slot in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == slot => *last = slot,
                _ => ranges.push((slot, slot)),
            }
        }
        ranges
    }

    /// Those of both.
    pub fn and(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// Those of either.
    pub fn or(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// Those that the other has not.
    pub fn without(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    /// The highest `count` of them. From the end, so that what stays is one range where it was one.
    pub fn highest(&self, count: u32) -> Self {
        let skip = self.len().saturating_sub(count);
        self.iter().skip(skip as usize).collect()
    }

    /// The lowest `count` of them.
    pub fn lowest(&self, count: u32) -> Self {
        self.iter().take(count as usize).collect()
    }

    fn zip(&self, other: &Self, with: impl Fn(u64, u64) -> u64) -> Self {
        let mut words = [0; WORDS];
        for ((word, a), b) in words.iter_mut().zip(self.0.iter()).zip(other.0.iter()) {
            *word = with(*a, *b);
        }
        Self(Box::new(words))
    }
}

/// The numbers of the bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        let bit = u16::try_from(word.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
        word &= word - 1;
        Some(bit)
    })
}

impl Default for Slots {
    fn default() -> Self {
        Self::none()
    }
}

impl FromIterator<u16> for Slots {
    fn from_iter<I: IntoIterator<Item = u16>>(slots: I) -> Self {
        let mut set = Self::none();
        slots.into_iter().for_each(|slot| set.insert(slot));
        set
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.ranges().into_iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_first_and_last() {
        let set: Slots = [5, 0, 1, 16383, 2, 20000].into_iter().collect();
        assert_eq!(set.ranges(), [(0, 2), (5, 5), (16383, 16383)]);
        assert_eq!((set.len(), set.to_string()), (5, "0-2,5,16383".to_owned()));
    }

    #[test]
    fn sets_are_cut_from_their_ends() {
        let set = Slots::range(10, 19);
        assert_eq!((set.highest(3), set.lowest(3)), (Slots::range(17, 19), Slots::range(10, 12)));
        assert_eq!(set.without(&Slots::range(0, 14)).or(&Slots::range(3, 3)).ranges(), [(3, 3), (15, 19)]);
        assert_eq!((Slots::all().len(), Slots::none().is_empty()), (16384, true));
    }
}
