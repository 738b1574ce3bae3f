//! tools/tidy
