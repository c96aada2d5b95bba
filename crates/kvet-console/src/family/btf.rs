//! BTF refused (kernel/bpf/btf.c; kernel/module): `BPF:` lines, then `failed to validate module [x] BTF: -22`; `in-kernel BTF is malformed`.

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::Kind;
use crate::text::between;

pub(crate) static FAMILY: Family = Family { anchors: &["BTF: ", "BTF is ", "BPF:"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if let Some(rest) = text.strip_prefix("failed to validate module [") {
        let mut start = Start::new(Kind::Btf, line, Sure::Certain);
        start.report.modules.extend(between(rest, "", "]").map(str::to_owned));
        return rest.contains("] BTF: ").then_some(start);
    }
    if text == "in-kernel BTF is malformed"
        || text.starts_with("BPF: in-kernel BTF is malformed")
        || text.contains("in-kernel BTF is malformed")
    {
        return Some(Start::new(Kind::Btf, line, Sure::Certain));
    }
    // The verifier's log, which stands before the line that names the module.
    text.starts_with("BPF:").then(|| Start::new(Kind::Btf, line, Sure::Preamble))
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    if open.preamble {
        if line.text().starts_with("BPF:") {
            open.detail(line);
            return Taken::Detail;
        }
        return Taken::No;
    }
    super::detail_of(open, line, &["BPF:"])
}
