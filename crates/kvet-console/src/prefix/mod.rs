//! What stands before the kernel's message: one dialect, one file.

pub(crate) mod android;
pub(crate) mod collector;
pub(crate) mod dmesg;
pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod level;
pub(crate) mod printk;
pub(crate) mod pstore;
pub(crate) mod quote;
pub(crate) mod syslog;

use crate::line::{Caller, Origin};
use crate::text::trim_start;

/// A message and what its prefix said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stripped<'a> {
    pub text: &'a str,
    pub timestamp: Option<f64>,
    pub caller: Option<Caller>,
    pub origin: Origin,
}

impl<'a> Stripped<'a> {
    /// A message of which nothing is known.
    fn new(text: &'a str) -> Stripped<'a> {
        Stripped { text, timestamp: None, caller: None, origin: Origin::Unknown }
    }
}

/// A dialect takes its mark off the front of a message, or says that there is none.
type Dialect = for<'a> fn(Stripped<'a>) -> Option<Stripped<'a>>;

/// The dialects, in the order in which their marks nest.
const DIALECTS: &[Dialect] = &[level::strip, syslog::strip, dmesg::strip, printk::strip, android::strip];

/// Takes off what collectors of logs put in front, dates for the most part, which tell nothing of the message.
pub(crate) fn strip_collector(line: &str) -> &str {
    collector::strip(line)
}

/// The common case: printk's own stamp, and nothing in front of it.
pub(crate) fn stamped(text: &str) -> Option<Stripped<'_>> {
    let text = trim_start(text);
    let stamped = text.starts_with('[').then(|| printk::strip(Stripped::new(text))).flatten()?;
    Some(android::strip(stamped).unwrap_or(stamped))
}

/// Takes all marks off the front of `text`.
pub(crate) fn strip(text: &str) -> Stripped<'_> {
    if let Some(stamped) = stamped(text) {
        return stamped;
    }
    let mut here = Stripped::new(text.trim_start());
    // Each dialect at most twice over: `<4>` may stand before and after a syslog prefix.
    for _ in 0..2 {
        let mut found = false;
        for dialect in DIALECTS {
            if let Some(next) = dialect(here) {
                here = next;
                found = true;
            }
        }
        if !found {
            break;
        }
    }
    here
}
