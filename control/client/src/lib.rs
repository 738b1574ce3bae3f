//! control/client
