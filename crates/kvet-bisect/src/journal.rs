//! What a search has seen, on disk: one line of JSON an entry, each on the disk before the next one begins.
//!
//! A search is deterministic, so the journal is its whole state: who reads it again, entry by entry, stands where
//! the search stood. A line that was cut short by a crash is no entry; the file is cut back to the last whole one.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A journal that is open for writing, and what it held when it was opened.
#[derive(Debug)]
pub struct Journal<E> {
    file: File,
    path: PathBuf,
    replay: VecDeque<E>,
}

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refuses.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A whole line is no entry.
    #[error("{path}: line {line} is no entry of this journal: {source}", path = .path.display())]
    Strange {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl<E: Serialize + DeserializeOwned> Journal<E> {
    /// Opens a journal, or makes an empty one.
    ///
    /// # Errors
    /// It cannot be read or written, or a line that is not the last one is no entry.
    pub fn open(path: &Path) -> Result<Journal<E>, JournalError> {
        let fail = |source| JournalError::Io { path: path.to_owned(), source };
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(fail)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(fail)?;
        let whole = text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let lines = text[..whole].split(|&b| b == b'\n').filter(|line| !line.is_empty());
        let entry = |(index, line): (usize, &[u8])| {
            serde_json::from_slice(line).map_err(|source| JournalError::Strange {
                path: path.to_owned(),
                line: index + 1,
                source,
            })
        };
        let replay = lines.enumerate().map(entry).collect::<Result<VecDeque<E>, _>>()?;
        file.set_len(whole as u64).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        if let Some(directory) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            // The name itself must be on the disk as well.
            File::open(directory).and_then(|d| d.sync_all()).map_err(fail)?;
        }
        Ok(Journal { file, path: path.to_owned(), replay })
    }

    /// The next entry of an earlier session; `None` when all of them have been taken.
    pub fn replay(&mut self) -> Option<E> {
        self.replay.pop_front()
    }

    /// The entry that [`Journal::replay`] would give.
    pub fn peek(&self) -> Option<&E> {
        self.replay.front()
    }

    /// Entries of earlier sessions that have not been taken yet.
    pub fn left(&self) -> usize {
        self.replay.len()
    }

    /// Adds an entry; it is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&mut self, entry: &E) -> Result<(), JournalError> {
        let fail = |source| JournalError::Io { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(entry).map_err(|e| fail(e.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(fail)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_was_written_comes_back_whatever_the_last_line_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let mut journal: Journal<(u32, String)> = Journal::open(&path).unwrap();
        for i in 0..3 {
            journal.append(&(i, format!("line\n{i}"))).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        // Cut at every byte: the entries whose lines are whole, and nothing else.
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal: Journal<(u32, String)> = Journal::open(&path).unwrap();
            let lines = whole[..cut].iter().filter(|&&b| b == b'\n').count();
            assert_eq!(journal.left(), lines, "cut at {cut}");
            journal.append(&(9, String::new())).unwrap();
            let mut again: Journal<(u32, String)> = Journal::open(&path).unwrap();
            assert_eq!(again.left(), lines + 1);
            while let Some((number, _)) = again.replay() {
                assert!(number < 3 || number == 9);
            }
        }
    }

    #[test]
    fn a_strange_line_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, "1\nx\n2\n").unwrap();
        let error = Journal::<u32>::open(&path).unwrap_err();
        assert!(matches!(error, JournalError::Strange { line: 2, .. }), "{error}");
    }
}
