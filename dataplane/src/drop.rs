//! Every reason to drop a packet.
