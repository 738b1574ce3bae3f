//! The committed text of the repository, read once.

use std::path::{Path, PathBuf};

use crate::Source;

/// A text file and where it stands.
#[derive(Debug)]
pub struct TextFile {
    /// Path from the root of the repository, with forward slashes.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// A failure to read the tree itself; a broken rule is a finding instead.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A file or directory could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A Rust file does not parse.
    #[error("{path}: not Rust: {source}")]
    Parse {
        /// Path from the root of the repository.
        path: String,
        /// What the parser said.
        source: syn::Error,
    },
}

/// Every text file of the repository, and the Rust files among them as sources.
#[derive(Debug)]
pub struct Tree {
    /// Root of the repository.
    pub root: PathBuf,
    /// All text files, sorted by path.
    pub files: Vec<TextFile>,
    /// The Rust files, sorted by path.
    pub sources: Vec<Source>,
}

/// Directories that hold nothing committed.
const NOT_OURS: [&str; 5] = [".git", "target", "corpus", "artifacts", "bare"];

/// The endings of text that the rules read. Files without an ending (Makefile, `.ci/run`) are read too.
const TEXT_ENDINGS: [&str; 13] =
    ["rs", "md", "toml", "sh", "awk", "py", "c", "h", "txt", "yml", "conf", "lock", "script"];

impl Tree {
    /// Reads everything below `root`.
    pub fn read(root: &Path) -> Result<Self, TreeError> {
        let mut files = Vec::new();
        collect(root, root, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self::from_files(root.to_owned(), files)
    }

    /// A tree from files at hand.
    pub fn from_files(root: PathBuf, files: Vec<TextFile>) -> Result<Self, TreeError> {
        let mut sources = files
            .iter()
            .filter(|file| file.path.ends_with(".rs"))
            .map(|file| Source::parse(&file.path, &file.text))
            .collect::<Result<Vec<_>, _>>()?;
        let beside: Vec<String> = sources.iter().flat_map(|s| s.test_module_files.clone()).collect();
        for source in &mut sources {
            source.all_tests |= beside.iter().any(|path| {
                source.path == format!("{path}.rs")
                    || source.path.starts_with(&format!("{path}/"))
                    || source.path == *path
            });
        }
        Ok(Self { root, files, sources })
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The Rust files whose path begins so.
    pub fn sources_under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Source> {
        self.sources.iter().filter(move |source| source.path.starts_with(prefix))
    }
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<TextFile>) -> Result<(), TreeError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TreeError::Read { path, source }
    };
    for entry in std::fs::read_dir(directory).map_err(failed(directory))? {
        let entry = entry.map_err(failed(directory))?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(failed(&path))?;
        if kind.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            collect(root, &path, files)?;
        } else if kind.is_file() && is_text(&name) && name != ".git" {
            // A file without an ending may be a program somebody left here; what is not UTF-8 is not text.
            let bytes = std::fs::read(&path).map_err(failed(&path))?;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.push(TextFile { path: relative, text });
        }
    }
    Ok(())
}

fn is_text(name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => TEXT_ENDINGS.contains(&ending),
        _ => true,
    }
}
