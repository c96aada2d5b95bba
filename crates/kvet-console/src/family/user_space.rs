//! The death of the program that drives a test, in the two forms in which it ends the test: Go's runtime errors and syzkaller's executor.

use super::{Family, Start, Sure};
use crate::line::{Line, Origin};
use crate::open::{Open, Taken};
use crate::report::Kind;

pub(crate) static FAMILY: Family = Family { anchors: &["SYZF", "fatal error: ", "panic"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if line.part.origin == Origin::Kernel {
        return None;
    }
    if text.starts_with("SYZFAIL: ") || text.starts_with("SYZFATAL: ") {
        return Some(Start::new(Kind::UserSpace, line, Sure::Certain));
    }
    // Go's: a stack of goroutines has to follow.
    let go = text.starts_with("fatal error: ") || text.starts_with("panic: runtime error: ");
    go.then(|| Start::new(Kind::UserSpace, line, Sure::Trace))
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if text.starts_with("goroutine ") && text.ends_with("]:") || text == "runtime stack:" {
        open.unproven = false;
        open.detail(line);
        return Taken::Detail;
    }
    super::detail_of(open, line, &["runtime.", "[signal ", "runtime/"])
}
