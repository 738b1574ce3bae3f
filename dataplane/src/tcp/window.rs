//! Windows: in bytes ([`Window`]), as they stand on the wire ([`WireWindow`]), and the shift between
//! ([`WindowScale`], RFC 7323 section 2). The three never meet but through [`WindowScale::to_wire`] and
//! [`WindowScale::to_window`].

/// The largest shift (RFC 7323 section 2.3): windows stay below 2^30, half of half the circle.
pub const WINDOW_SCALE_MAX: u8 = 14;

/// The largest window of a peer that takes it for a signed number (`MAX_TCP_WINDOW`).
pub(super) const SIGNED_WINDOW_MAX: u32 = 32_767;

/// A window in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window(pub u32);

/// A window as it stands in a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireWindow(pub u16);

/// How far windows are shifted, 0 to 14.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WindowScale(u8);

impl WindowScale {
    /// None: what a SYN's own window always has, and every window unless both sides sent the option.
    pub const NONE: Self = Self(0);

    /// As received; a larger shift counts as 14 (RFC 7323 section 2.3).
    pub const fn new(shift: u8) -> Self {
        Self(if shift > WINDOW_SCALE_MAX { WINDOW_SCALE_MAX } else { shift })
    }

    /// The smallest shift that can announce a receive buffer of `bytes` (`tcp_select_initial_window`).
    pub const fn for_buffer(bytes: u32) -> Self {
        Self::new((32 - bytes.leading_zeros()).saturating_sub(16) as u8)
    }

    /// What stands in the option.
    pub const fn shift(self) -> u8 {
        self.0
    }

    /// `window` as it is announced: rounded down, and no more than the field holds.
    #[inline]
    pub fn to_wire(self, window: Window) -> WireWindow {
        WireWindow((window.0 >> self.0).min(0xffff) as u16)
    }

    /// The window that was announced.
    #[inline]
    pub const fn to_window(self, wire: WireWindow) -> Window {
        Window((wire.0 as u32) << self.0)
    }

    /// `window` rounded up to what can be announced exactly, so that an announced edge never moves back by rounding.
    #[inline]
    pub const fn round_up(self, window: Window) -> Window {
        let unit = (1 << self.0) - 1;
        Window(window.0.saturating_add(unit) & !unit)
    }

    /// The largest window that can be announced.
    pub const fn window_max(self) -> Window {
        self.to_window(WireWindow(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_survives_the_wire_within_its_unit() {
        for shift in 0..=20 {
            let scale = WindowScale::new(shift);
            let back = |bytes| scale.to_window(scale.to_wire(Window(bytes))).0;
            let unit = 1 << scale.shift();
            assert!(scale.shift() <= WINDOW_SCALE_MAX);
            assert_eq!(back(u32::MAX), scale.window_max().0);
            assert_eq!(back(5 * unit), 5 * unit);
            assert_eq!(back(5 * unit + unit - 1), 5 * unit);
            assert_eq!(scale.round_up(Window(5 * unit + 1)).0, 6 * unit);
        }
    }

    #[test]
    fn the_shift_fits_the_buffer_as_in_linux() {
        for (bytes, shift) in [(0, 0), (65_535, 0), (65_536, 1), (131_072, 2), (6_291_456, 7), (u32::MAX, 14)] {
            assert_eq!(WindowScale::for_buffer(bytes).shift(), shift, "{bytes}");
        }
    }
}
