//! The verifier's log as the kernel builds it: fragments, cut where its buffer ends.

use std::fmt::Write;

/// `BPF_VERIFIER_TMP_LOG_SIZE` less the NUL: a longer fragment loses its end.
const FRAGMENT_MAX: usize = 1023;

/// What the verifier wrote, fragment by fragment. For a log that bpf(2) returns they are joined; on the
/// console each becomes a line of its own (kernel/bpf/log.c, `bpf_verifier_vlog`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Log {
    /// Adds one fragment made of pieces; names are bytes, not text.
    pub(crate) fn push(&mut self, pieces: &[&[u8]]) {
        let start = self.text.len();
        for piece in pieces {
            self.text.extend_from_slice(piece);
        }
        self.end(start);
    }

    /// Adds one formatted fragment.
    pub(crate) fn push_fmt(&mut self, args: std::fmt::Arguments<'_>) {
        let start = self.text.len();
        // Writing to memory cannot fail.
        let _ = Bytes(&mut self.text).write_fmt(args);
        self.end(start);
    }

    fn end(&mut self, start: usize) {
        self.text.truncate(self.text.len().min(start + FRAGMENT_MAX));
        self.ends.push(self.text.len());
    }

    /// The whole log as bpf(2) returns it.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether nothing was logged.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The last line that says something, without its newline: what names the fault.
    pub fn last_line(&self) -> String {
        let line = self.text.split(|&b| b == b'\n').rfind(|line| !line.is_empty()).unwrap_or(b"");
        String::from_utf8_lossy(line).into_owned()
    }

    /// The whole log by lines, as a reader of bpf(2)'s buffer sees it.
    pub fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.text).lines().map(str::to_owned).collect()
    }

    fn fragments(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let fragment = self.text.get(start..end).unwrap_or(&[]);
            start = end;
            fragment
        })
    }

    /// The lines that the kernel prints on its console when the BTF is its own or a module's, each without
    /// its newline.
    ///
    /// `space` says which of the two forms: `BPF: [1] ...` (from 5.15) or `BPF:[1] ...` with every fragment
    /// followed by a newline.
    pub fn console(&self, space: bool) -> Vec<String> {
        self.fragments()
            .map(|fragment| {
                let text = String::from_utf8_lossy(fragment);
                if space {
                    format!("BPF: {}", text.strip_suffix('\n').unwrap_or(&text))
                } else {
                    format!("BPF:{text}")
                }
            })
            .collect()
    }
}

struct Bytes<'a>(&'a mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
