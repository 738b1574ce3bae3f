//! control/daemon
