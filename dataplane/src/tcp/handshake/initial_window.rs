//! The window and the segment size that a handshake announces (`tcp_select_initial_window`, `ipv4_default_advmss`).

use crate::tcp::config::Config;
use crate::tcp::mss::HEADERS_LEN;
use crate::tcp::settings::Settings;
use crate::tcp::window::{SIGNED_WINDOW_MAX, WINDOW_SCALE_MAX, WindowScale};

/// The longest segment: what an IPv4 datagram holds.
const MSS_MAX: u16 = u16::MAX - HEADERS_LEN;

/// What a SYN or SYN-ACK announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// The first window in bytes; more than 65,535 of it waits for the first ACK.
    pub(super) window: u32,
    /// The most that is ever announced.
    pub(super) clamp: u32,
    /// Our shift.
    pub(super) scale: WindowScale,
}

/// The share of a receive buffer that is window (`tcp_win_from_space`).
pub(in crate::tcp) fn window_of_buffer(settings: &Settings, buffer: u32) -> u32 {
    match settings.adv_win_scale {
        scale @ 1..=31 => buffer - (buffer >> scale),
        scale @ -31..=0 => buffer >> -scale,
        _ => buffer,
    }
}

/// The receive buffer that a connection begins with, as Linux counts it (`sk_rcvbuf`).
pub(in crate::tcp) fn first_buffer(settings: &Settings, config: &Config) -> u32 {
    if config.receive_buffer != 0 { config.receive_buffer } else { settings.rmem.initial }
}

/// The MSS option for a path of `mtu` (`tcp_mss_clamp` of `dst_metric_advmss`).
pub(super) fn advertised_mss(settings: &Settings, config: &Config, mtu: u16) -> u16 {
    let path = mtu.saturating_sub(HEADERS_LEN).max(settings.min_adv_mss).min(MSS_MAX);
    if config.max_segment != 0 { path.min(config.max_segment) } else { path }
}

impl Opening {
    /// Of a buffer that has `room` now; `mss` is what is left for data beside the options of every segment.
    pub(super) fn choose(settings: &Settings, config: &Config, room: u32, mss: u16, scaling: bool) -> Self {
        let full = window_of_buffer(settings, first_buffer(settings, config));
        let mut clamp = config.window_clamp;
        if config.receive_buffer != 0 && (clamp == 0 || clamp > full) {
            clamp = full;
        }
        if clamp == 0 {
            clamp = u32::from(u16::MAX) << WINDOW_SCALE_MAX;
        }
        let space = full.min(room).min(clamp);
        let mss = u32::from(mss.max(1));
        // A multiple of the segment size, if it can be.
        let mut window = if space > mss { space - space % mss } else { space };
        if settings.workaround_signed_windows {
            window = window.min(SIGNED_WINDOW_MAX);
        }
        let scale =
            if scaling { WindowScale::for_buffer(space.max(settings.rmem.max).min(clamp)) } else { WindowScale::NONE };
        Self { window, clamp: clamp.min(scale.window_max().0), scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(change: impl FnOnce(&mut Settings, &mut Config), mss: u16) -> (u32, u8) {
        let mut settings = Settings::default();
        let mut config = Config::new(&settings);
        change(&mut settings, &mut config);
        let opening = Opening::choose(&settings, &config, u32::MAX, mss, true);
        (opening.window, opening.scale.shift())
    }

    #[test]
    fn the_first_window_is_that_of_linux() {
        assert_eq!(opening(|_, _| (), 1460), (64_240, 7), "of a SYN");
        assert_eq!(opening(|_, _| (), 1448), (65_160, 7), "of a SYN-ACK with timestamps");
        assert_eq!(opening(|_, c| c.receive_buffer = 20_000, 1460), (8760, 0), "SO_RCVBUF");
        assert_eq!(opening(|_, c| c.window_clamp = 1000, 1460), (1000, 0), "TCP_WINDOW_CLAMP");
        assert_eq!(opening(|s, _| s.workaround_signed_windows = true, 1460), (32_767, 7));
    }

    #[test]
    fn the_mss_is_that_of_the_path_or_of_the_program() {
        let settings = Settings::default();
        let config = Config::new(&settings);
        assert_eq!(advertised_mss(&settings, &config, 1500), 1460);
        assert_eq!(advertised_mss(&settings, &config, 100), 256);
        assert_eq!(advertised_mss(&settings, &Config { max_segment: 1000, ..config }, 1500), 1000);
    }
}
