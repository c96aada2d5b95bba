//! Where the table is: its section (a module's), its boundary symbols, or its structure.

use kvet_image::Kind;

use super::{JumpTable, scan};
use crate::{Bounds, Context, TableReport};

/// Finds and reads the table. The report that stands for it when there is none to read says why.
pub(crate) fn find(context: &Context<'_>) -> Result<JumpTable, Box<TableReport>> {
    const NAME: &str = "jump-labels";
    let named = Bounds::locate(context.image, "__jump_table", "__start___jump_table", "__stop___jump_table");
    let bounds = match named {
        Some(bounds) => bounds,
        None if context.image.kind() == Kind::Module => return Err(TableReport::new(NAME, None).into()),
        None => scan::scan(context.image).ok_or_else(|| {
            Box::new(TableReport::absent(
                NAME,
                "No symbol names the jump table's bounds and nothing in the image looks like one: the kernel \
                 was built without CONFIG_JUMP_LABEL, or its table has fewer than 8 entries.",
            ))
        })?,
    };
    let located_by = bounds.located_by.clone();
    JumpTable::read(context, bounds).ok_or_else(|| {
        let mut report = TableReport::absent(NAME, "The jump table's bytes are not in the file.");
        report.located_by = Some(located_by);
        Box::new(report)
    })
}
