//! Where the demo against the kernel happens: the lab, and a directory for configuration, sockets and logs.
//!
//! Invariants:
//! * one demo of a name at a time, by a lock that ends with its process however that ends;
//! * a directory that is there at the start is a killed run's: its processes (known by that directory in their command
//!   line), its lab and itself are removed first;
//! * a lab that somebody else made is used and left standing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::Failure;
use crate::demo::child::end_process;
use crate::demo::not_shown;
use crate::lab::{Lab, State};
use crate::system::run;

/// Directories of root's own, so that nobody can lay a trap at the path.
const PARENT: &str = "/run";

/// The place. Dropping it removes it.
#[derive(Debug)]
pub struct Place {
    lab: Lab,
    /// What stands.
    pub state: State,
    /// For files of the demo.
    pub directory: PathBuf,
    /// Whether a killed run's leftovers were removed.
    pub cleaned: bool,
    made_lab: bool,
    _lock: File,
}

impl Place {
    /// Makes it under `name`.
    pub fn prepare(name: &str) -> Result<Self, Failure> {
        let lab = Lab::new(name, 1);
        let directory = Path::new(PARENT).join(format!("xmit-demo-{name}"));
        let cleaned = directory.exists();
        fs::create_dir_all(&directory).map_err(Failure::io("make a directory under /run"))?;
        let lock = lock(&directory)?;
        if cleaned {
            remove_leftovers(&lab, &directory)?;
        }
        let made_lab = !lab.state().up;
        // From here on dropping it undoes what was done.
        let mut place = Self { state: lab.state(), lab, directory, cleaned, made_lab, _lock: lock };
        place.state = place.lab.up()?;
        Ok(place)
    }

    /// A file of the demo.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Removes it, and says if that fails.
    pub fn remove(mut self) -> Result<(), Failure> {
        self.undo()
    }

    fn undo(&mut self) -> Result<(), Failure> {
        let down = if std::mem::take(&mut self.made_lab) { self.lab.down().map(drop) } else { Ok(()) };
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                down.and(Err(Failure::io("remove the demo's directory")(error)))
            }
            _ => down,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // `remove` has told of a failure; here another one is already on its way.
        let _ = self.undo();
    }
}

fn lock(directory: &Path) -> Result<File, Failure> {
    let file = File::create(directory.join("lock")).map_err(Failure::io("make the demo's lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(not_shown(
            "another `xmit demo` of this name is running: wait until it has ended, or give this one another --name",
        )),
    }
}

fn remove_leftovers(lab: &Lab, directory: &Path) -> Result<(), Failure> {
    for side in lab.state().sides {
        // Without the namespace there is nobody in it.
        let pids = run(&format!("ip netns pids {}", side.namespace)).unwrap_or_default();
        let pids = pids.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.filter(|pid| belongs_to(*pid, directory)).for_each(end_process);
    }
    lab.down().map(drop)
}

/// Whether a process was started for `directory`: xmitd and the echo have files of it in their command lines.
fn belongs_to(pid: i32, directory: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = line.split(|byte| *byte == 0);
    arguments.any(|argument| Path::new(&*String::from_utf8_lossy(argument)).starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_with_a_file_of_the_directory_belong_to_it() {
        let program = std::env::current_exe().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let first = fs::read(format!("/proc/{own}/cmdline")).unwrap();
        let first = String::from_utf8_lossy(first.split(|byte| *byte == 0).next().unwrap()).into_owned();
        assert!(belongs_to(own, Path::new(&first)), "{}", program.display());
        assert!(!belongs_to(own, Path::new("/run/xmit-demo-other")));
    }
}
