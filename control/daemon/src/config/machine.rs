//! What the configuration is checked against: the cores and interfaces of this machine.

/// The machine as far as a configuration can be wrong about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Cores that this process may run on, by number.
    pub cores: Vec<u32>,
    /// Interfaces of the kernel in this network namespace, by name.
    pub links: Vec<String>,
}

impl Machine {
    /// This machine, with the interfaces that netlink listed.
    pub fn here(links: Vec<String>) -> Self {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        Self { cores: cores.into_iter().filter_map(|core| u32::try_from(core.id).ok()).collect(), links }
    }
}
