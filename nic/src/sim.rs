//! The seeded wire of tests and of the demo.
