//! `------------[ cut here ]------------` and the words that kernels print before a `WARNING:` or `kernel BUG at`: list debugging,
//! usercopy, ODEBUG, CFI.

use super::{Family, Start, Sure};
use crate::line::{Line, Origin};
use crate::open::{Open, Taken};
use crate::report::Kind;

pub(crate) static FAMILY: Family =
    Family { anchors: &["cut here", "orruption", "usercopy: ", "CFI failure"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if text.starts_with("------------[ cut here ]") || text.starts_with("8<--- cut here") {
        return Some(Start::new(Kind::Warning, line, Sure::Preamble));
    }
    if line.part.origin != Origin::Kernel && !text.contains("corruption. ") {
        return None;
    }
    let list = text.starts_with("list_add corruption")
        || text.starts_with("list_del corruption")
        || text.starts_with("slist_");
    if list
        || text.starts_with("usercopy: Kernel memory ")
        || text.starts_with("CFI failure at ")
        || text.starts_with("CFI failure (")
    {
        return Some(Start::new(Kind::Bug, line, Sure::Lone));
    }
    None
}

/// Whatever the same CPU prints before the headline is the report's message.
fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let alike = line.part.quote == open.last_quote && line.part.timestamp.is_some() == open.last_stamped;
    if open.preamble && open.taken <= 8 && open.adjacent && alike && line.part.origin != Origin::User {
        open.detail(line);
        return Taken::Detail;
    }
    Taken::No
}
