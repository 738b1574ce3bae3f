//! Joins the wires of two ports.
