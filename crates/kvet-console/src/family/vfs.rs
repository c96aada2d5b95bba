//! The VFS's complaints about itself (fs/open.c, `filp_flush`), and a root that cannot be opened (init/do_mounts.c).

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::Kind;

pub(crate) static FAMILY: Family = Family { anchors: &["VFS: C"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if text.starts_with("VFS: Close: file count is ") {
        return Some(Start::new(Kind::Bug, line, Sure::Certain));
    }
    // The panic that follows is the report; this says which device.
    text.starts_with("VFS: Cannot open root device").then(|| Start::new(Kind::Rootfs, line, Sure::Lone))
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    if open.preamble && open.taken <= 64 && open.adjacent {
        let text = line.text();
        // `Please append a correct "root=" boot option; here are the available partitions:` and the list of partitions.
        let partition = text.as_bytes()[0].is_ascii_hexdigit()
            || text.starts_with("driver:")
            || text.starts_with("(driver?)");
        if partition
            || text.starts_with("Please append")
            || text.starts_with("List of all")
            || text.starts_with("No filesystem could mount")
        {
            open.detail(line);
            return Taken::Detail;
        }
    }
    Taken::No
}
