//! A set of slots, asked for its members in turn: three levels of bits, so that any operation looks at a word of each.
//!
//! ```text
//!   top     | one bit for each middle word |
//!   middle  | one bit for each word        | ... 64 at most
//!   words   | one bit for each slot        | ... 4,096 at most
//! ```
//!
//! Invariant: a bit of a higher level is set exactly while the word below it is not zero.

/// Slots that one set can hold: 64 words of 64 words of 64 bits.
pub(crate) const SLOTS_MAX: u32 = 64 * 64 * 64;

/// The indices of the bits of `bits`, lowest first.
#[inline]
pub fn each_bit(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let index = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        index
    })
}

/// The set.
#[derive(Debug)]
pub(crate) struct SlotSet {
    top: u64,
    middle: Box<[u64]>,
    words: Box<[u64]>,
}

impl SlotSet {
    /// Of `words` words; at most 4,096 of them are used.
    pub(crate) fn new(words: usize) -> Self {
        let zeros = |len: usize| vec![0; len].into_boxed_slice();
        Self { top: 0, middle: zeros(words.div_ceil(64)), words: zeros(words) }
    }

    /// True if it holds nothing.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.top == 0
    }

    /// Puts in the slots of word `index` whose bits are set. Words outside of it are not.
    #[inline]
    pub(crate) fn insert(&mut self, index: usize, bits: u64) {
        let (Some(word), Some(middle)) = (self.words.get_mut(index), self.middle.get_mut(index / 64)) else { return };
        if bits != 0 {
            *word |= bits;
            *middle |= 1 << (index % 64);
            self.top |= 1 << (index / 64 % 64);
        }
    }

    /// Takes out the first slot at or behind `from`, or the first of all if there is none.
    #[inline]
    pub(crate) fn take_next(&mut self, from: u32) -> Option<u32> {
        if self.top == 0 {
            return None;
        }
        let start = from as usize / 64;
        let rest = self.words.get(start).map_or(0, |word| word & (u64::MAX << (from % 64)));
        let index = if rest != 0 { start } else { self.word_behind(start).or_else(|| self.first_word())? };
        let word = self.words.get_mut(index)?;
        let bit = if rest != 0 { rest } else { *word }.trailing_zeros();
        *word &= !1u64.checked_shl(bit)?;
        if *word == 0 {
            self.clear_word(index);
        }
        Some(index as u32 * 64 + bit)
    }

    /// Takes all out: gives each middle word that is not zero, with its index, and its words with theirs, to `each`.
    #[inline]
    pub(crate) fn drain(&mut self, mut each: impl FnMut(usize, u64, &mut dyn FnMut(usize) -> u64)) {
        let Self { top, middle, words } = self;
        for group in each_bit(std::mem::take(top)) {
            let touched = middle.get_mut(group).map_or(0, std::mem::take);
            each(group, touched, &mut |index| words.get_mut(index).map_or(0, std::mem::take));
        }
    }

    /// The first word that is not zero behind word `index`.
    #[inline]
    fn word_behind(&self, index: usize) -> Option<usize> {
        let behind = |bits: u64, at: usize| bits & u64::MAX.checked_shl(at as u32 + 1).unwrap_or(0);
        let (group, within) = (index / 64, behind(*self.middle.get(index / 64)?, index % 64));
        if within != 0 {
            return Some(group * 64 + within.trailing_zeros() as usize);
        }
        self.first_of(behind(self.top, group))
    }

    #[inline]
    fn first_word(&self) -> Option<usize> {
        self.first_of(self.top)
    }

    /// The first word of the first of these groups.
    #[inline]
    fn first_of(&self, groups: u64) -> Option<usize> {
        let group = groups.trailing_zeros() as usize;
        Some(group * 64 + self.middle.get(group)?.trailing_zeros() as usize)
    }

    #[inline]
    fn clear_word(&mut self, index: usize) {
        let group = index / 64;
        if let Some(middle) = self.middle.get_mut(group) {
            *middle &= !(1 << (index % 64));
            if *middle == 0 {
                self.top &= !(1 << (group % 64));
            }
        }
    }
}
