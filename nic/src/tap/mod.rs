//! A TAP device over io_uring.
