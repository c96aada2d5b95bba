//! What every checker returns: a rule, a severity, a place, and the evidence.
//!
//! A [`Finding`] is data: who renders it (terminal, JSON, SARIF, JUnit) adds nothing but form.

use std::fmt;

use kvet_image::VirtAddr;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Suspicious, but legitimate kernels may look like this.
    Warning,
    /// The table contradicts the image or itself: the kernel will misbehave.
    Error,
}

impl Severity {
    /// The word in output: `error`, `warning`, `note`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a running kernel does about a finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AtBoot {
    /// The line that it prints, letter for letter where the table allows (a hashed `%p` cannot be known and
    /// stands as `____ptrval____`, as before the random pool is ready).
    pub line: String,
    /// What must happen for the kernel to come here; `None` when every boot does.
    pub when: Option<String>,
    /// Something ends there: the boot (or the CPU that came here, or the module's load), unless
    /// [`AtBoot::ends`] says what.
    pub fatal: bool,
    /// What ends, in a clause, where it is not the boot: `the module is refused`.
    pub ends: Option<String>,
}

/// One value of a finding's evidence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Words.
    Text(String),
    /// A plain number.
    Number(u64),
    /// A link-time virtual address.
    Address(VirtAddr),
    /// Bytes as they stand in the image.
    Bytes(Vec<u8>),
    /// Machine code with its address: bytes, and one line of disassembly an instruction.
    Code(Code),
    /// Several values.
    List(Vec<Value>),
    /// What the kernel prints somewhere, line by line.
    Lines(Vec<String>),
}

/// A piece of machine code, disassembled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code {
    /// Where it stands or would stand.
    pub address: VirtAddr,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// One line an instruction, branch targets symbolised; `(bad)` for what does not decode.
    pub lines: Vec<String>,
}

/// One finding of a checker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// `table/what`, for example `jump-labels/initial-state`. Stable: scripts and suppressions name it.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The table, for example `jump-labels`.
    pub table: &'static str,
    /// The entry's index in its table, from 0.
    pub index: Option<u64>,
    /// Where in the kernel it is about: usually the site that the entry patches.
    pub address: Option<VirtAddr>,
    /// The address as `%pS` prints it.
    pub symbol: Option<String>,
    /// One sentence: what is wrong, with the values.
    pub message: String,
    /// What the running kernel will say and do; `None` when it does not notice.
    pub at_boot: Option<AtBoot>,
    /// Named values the finding rests on, in the order to show them.
    pub evidence: Vec<(&'static str, Value)>,
    /// What the reader should do about it.
    pub advice: Option<String>,
}

impl Finding {
    /// A finding with nothing but its rule and sentence; the table is what stands before the rule's slash.
    pub fn new(rule: &'static str, severity: Severity, message: impl Into<String>) -> Finding {
        Finding {
            rule,
            severity,
            table: rule.split('/').next().unwrap_or(rule),
            index: None,
            address: None,
            symbol: None,
            message: message.into(),
            at_boot: None,
            evidence: Vec::new(),
            advice: None,
        }
    }

    /// Names the entry.
    #[must_use]
    pub fn index(mut self, index: u64) -> Finding {
        self.index = Some(index);
        self
    }

    /// Names the place, symbolised from the image.
    #[must_use]
    pub fn at(mut self, image: &kvet_image::Image, address: VirtAddr) -> Finding {
        self.address = Some(address);
        self.symbol = image.symbolize(address);
        self
    }

    /// Says what the kernel will print on every boot.
    #[must_use]
    pub fn at_boot(mut self, line: impl Into<String>, fatal: bool) -> Finding {
        self.at_boot = Some(AtBoot { line: line.into(), when: None, fatal, ends: None });
        self
    }

    /// Says what the kernel will print once something happens.
    #[must_use]
    pub fn at_boot_when(mut self, line: impl Into<String>, fatal: bool, when: impl Into<String>) -> Finding {
        self.at_boot = Some(AtBoot { line: line.into(), when: Some(when.into()), fatal, ends: None });
        self
    }

    /// Says what ends when the kernel prints that, where it is not the boot: `the module is refused`.
    #[must_use]
    pub fn ending(mut self, what: impl Into<String>) -> Finding {
        if let Some(at_boot) = &mut self.at_boot {
            at_boot.ends = Some(what.into());
        }
        self
    }

    /// Adds one piece of evidence.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Finding {
        self.evidence.push((name, value.into()));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Finding {
        self.advice = Some(advice.into());
        self
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(number)
    }
}

impl From<VirtAddr> for Value {
    fn from(address: VirtAddr) -> Value {
        Value::Address(address)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Value {
        Value::Bytes(bytes.to_vec())
    }
}

impl From<Code> for Value {
    fn from(code: Code) -> Value {
        Value::Code(code)
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Value {
        Value::List(list)
    }
}
