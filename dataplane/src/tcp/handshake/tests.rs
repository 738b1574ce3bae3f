//! The handshake, against a wire of hand-made segments.
