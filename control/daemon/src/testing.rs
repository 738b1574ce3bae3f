//! What the tests of this crate share: a directory that goes away.

use std::path::PathBuf;

/// A directory of one test, removed with all it holds.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// An empty directory named after the test and this process.
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("xmitd-{test}-{}", std::process::id()));
        _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The path of `name` inside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}
