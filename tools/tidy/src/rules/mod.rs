//! The rules, one concern a file. Each takes the tree and gives findings; exceptions are applied by the caller.

pub mod calls;
pub mod header;
pub mod layers;
pub mod length;
pub mod links;
pub mod linux_map;
pub mod manifests;
pub mod scripts;
pub mod text;
pub mod unsafety;
