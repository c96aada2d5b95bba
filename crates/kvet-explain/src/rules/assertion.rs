//! `WARN_ON` and `BUG` with words: what the kernel itself says that it found. A check that says nothing but its place
//! is left to the reader of the source.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, Evidence, fact, line, sentences};

/// Words of a message, cause, meaning (after the function's name), advice.
const MEANINGS: &[(&str, &str, &str, &str)] = &[
    // lib/debugobjects.c, debug_print_object.
    (
        "ODEBUG: free active",
        "freed-while-active",
        "frees memory that holds a timer, work item or the like that is still pending: it will run on freed memory",
        "stop it before the free: timer_shutdown_sync(), cancel_work_sync(), cancel_delayed_work_sync(); the hint names its callback",
    ),
    (
        "ODEBUG: init active",
        "initialised-while-active",
        "initialises a timer, work item or the like that is still pending",
        "initialise it once, where its object is made, and not again before it was stopped",
    ),
    (
        "ODEBUG: activate active",
        "activated-twice",
        "activates an object that is active already",
        "look for call_rcu() of one object twice, or an rcu_head that is used for two things",
    ),
    (
        "ODEBUG: assert_init not available",
        "uninitialised-object",
        "stops or uses a timer, work item or the like that was never initialised",
        "initialise it before any path, the error paths too, can come to it",
    ),
    (
        "ODEBUG: activate not available",
        "uninitialised-object",
        "activates an object that was never initialised",
        "initialise it before it is used",
    ),
    // drivers/usb/core/urb.c, usb_submit_urb.
    (
        "BOGUS urb xfer, pipe",
        "endpoint-of-another-type",
        "submits a USB request to an endpoint of another type than the driver believes: it trusts the descriptors of the device",
        "check the endpoints in probe: usb_find_common_endpoints(), usb_check_bulk_endpoints() and their kin",
    ),
    (
        "BOGUS control dir",
        "endpoint-direction",
        "submits a USB control request whose pipe and request disagree about the direction",
        "use usb_rcvctrlpipe() for reads and usb_sndctrlpipe() for writes",
    ),
    (
        "URB 00",
        "urb-submitted-twice",
        "submits a USB request that is on its way already",
        "wait for its completion or kill it (usb_kill_urb) before it is submitted again",
    ),
    // kernel/locking.
    (
        "DEBUG_LOCKS_WARN_ON(lock->magic != lock)",
        "uninitialised-lock",
        "takes a mutex that was never initialised, or whose memory was freed or written over",
        "initialise it before it can be reached; KASAN tells a free",
    ),
    (
        "DEBUG_LOCKS_WARN_ON",
        "lock-misuse",
        "uses a lock against its rules, or one whose memory is damaged",
        "the condition in brackets is the broken rule; look for a freed or uninitialised lock",
    ),
    (
        "DEBUG_RWSEMS_WARN_ON",
        "lock-misuse",
        "gives back a read-write semaphore that it does not hold so",
        "look at who took it, and in which mode",
    ),
    (
        "rtmutex deadlock detected",
        "lock-order",
        "waits for a lock in a circle",
        "take the locks in one order",
    ),
    // lib/kobject.c, fs/sysfs, fs/proc/generic.c, fs/kernfs.
    (
        "is not initialized, yet kobject_",
        "kobject-misuse",
        "gives back or uses a kobject that was never initialised",
        "an error path runs before device_initialize() or kobject_init(), or after the last put",
    ),
    (
        "tried to init an initialized object",
        "kobject-misuse",
        "initialises a kobject a second time",
        "the object is registered twice, or was not cleared before it was used again",
    ),
    (
        "kobject_add_internal failed",
        "registered-twice",
        "registers a name that is taken",
        "a device was not removed before, or two get one name",
    ),
    (
        "cannot create duplicate filename",
        "registered-twice",
        "creates a sysfs entry whose name is taken",
        "a device was not removed before, or two get one name",
    ),
    (
        "already registered",
        "registered-twice",
        "registers a name that is taken",
        "remove the old one first, or make the name unique: a namespace or an instance may be missing in it",
    ),
    (
        "not found for kobject",
        "removed-twice",
        "removes sysfs entries that are gone already: a device is taken down twice, or after its parent",
        "look at the order in which the driver takes its devices down",
    ),
    (
        "remove_proc_entry: removing non-empty directory",
        "removed-too-early",
        "removes a directory of /proc with entries still in it",
        "remove the entries first; they are leaked now",
    ),
    (
        "does not have a release() function",
        "no-release",
        "drops the last reference to a device that cannot be freed",
        "give it a release function (Documentation/core-api/kobject.rst)",
    ),
    // lib/string_helpers.c, fortify; mm/usercopy.c.
    (
        "detected field-spanning",
        "buffer-overflow",
        "copies past the end of a member of a structure",
        "if that is meant, use struct_group() or a flexible array; if not, bound the size",
    ),
    (
        "detected buffer overflow in",
        "buffer-overflow",
        "writes or reads past the end of a buffer whose size the compiler knows",
        "bound the size",
    ),
    (
        "memory exposure attempt detected",
        "usercopy",
        "copies more to user space than the object holds",
        "bound the size, or whitelist the field (kmem_cache_create_usercopy)",
    ),
    (
        "memory overwrite attempt detected",
        "usercopy",
        "copies more from user space than the object holds",
        "bound the size, or whitelist the field (kmem_cache_create_usercopy)",
    ),
    // net/core/skbuff.c.
    (
        "skb_over_panic",
        "buffer-overflow",
        "puts more data into a socket buffer than it has room for (skb_put)",
        "reserve enough room, or check skb_tailroom()",
    ),
    (
        "skb_under_panic",
        "buffer-underflow",
        "pushes a header into a socket buffer without headroom (skb_push)",
        "reserve it, or call skb_cow_head() first",
    ),
    // kernel/dma/debug.c.
    (
        "DMA-API:",
        "dma-api-misuse",
        "uses the DMA API against its rules",
        "the message names the rule; compare map and unmap",
    ),
    // kernel/cfi.c.
    (
        "CFI failure at",
        "cfi-failure",
        "calls a function through a pointer of another type (control-flow integrity)",
        "the target named by the message has another prototype, or the pointer is damaged",
    ),
    // kernel/workqueue.c.
    (
        "is flushing !WQ_MEM_RECLAIM",
        "workqueue-dependency",
        "waits in a queue that must make progress for work in one that needs memory first",
        "give the other queue WQ_MEM_RECLAIM, or do not wait for it",
    ),
    // kernel/sched/core.c.
    (
        "do not call blocking ops when !TASK_RUNNING",
        "sleeps-while-waiting",
        "may sleep between prepare_to_wait() and schedule(): the wakeup is lost",
        "use wait_event() or wait_woken()",
    ),
    // net/core/dev.c, genetlink, netfilter and others have only their own words.
    ("refcount", "reference-count", "counts references wrongly", "follow every get and put of the object"),
];

/// Functions that say what a check without words is about: the allocator and vmalloc refuse impossible sizes.
const PLACES: &[(&[&str], &str, &str, &str)] = &[
    (
        &[
            "__alloc_pages*",
            "__alloc_frozen_pages*",
            "kmalloc_slab",
            "kmalloc_fix_flags",
            "kvmalloc_node*",
            "__kvmalloc_node*",
            "alloc_pages*",
        ],
        "allocation-too-large",
        "asks for more memory than the allocator ever gives at once: a size from outside is not checked",
        "bound the size first, or pass __GFP_NOWARN where failure is expected",
    ),
    (
        &["__vmalloc_node_range*", "__vmalloc*"],
        "allocation-too-large",
        "asks vmalloc for nothing or for more than there is: a size from outside is not checked",
        "check the size for zero and for an upper bound first",
    ),
];

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if !matches!(report.kind, Kind::Warning | Kind::Bug | Kind::InvalidOpcode) {
        return None;
    }
    let checked = report.source.is_some()
        || report.headline.starts_with("WARNING: ")
        || ["list_", "usercopy", "CFI failure", "rust_kernel"].iter().any(|w| report.headline.contains(w));
    if !checked {
        return None;
    }
    let meaning = MEANINGS.iter().find_map(|meaning| Some((meaning, case.says(meaning.0)?)));
    if let Some(((_, cause, means, advice), (number, text))) = meaning {
        let mut evidence = vec![line("the kernel's own words", (number, text.to_owned()))];
        evidence.extend(place(case));
        return Some(Diagnosis {
            cause,
            summary: format!("{} {means}.", case.in_function()),
            confidence: Confidence::Certain,
            evidence,
            advice: sentences([advice]),
        });
    }
    by_place(case).or_else(|| words(case))
}

/// Where the check stands.
fn place(case: &Case<'_>) -> Option<Evidence> {
    let (file, number) = case.report.source.as_ref()?;
    Some(case.shows(format!("the check stands in {file}, line {number}"), &format!("{file}:{number}")))
}

/// The allocators' checks have no words.
fn by_place(case: &Case<'_>) -> Option<Diagnosis> {
    let checked = case.report.named.as_ref().or(case.report.ip.as_ref())?;
    let fits = |pattern: &&&str| match pattern.strip_suffix('*') {
        Some(start) => checked.function.starts_with(start),
        None => checked.function == **pattern,
    };
    let (_, cause, means, advice) =
        PLACES.iter().find(|(functions, ..)| functions.iter().any(|pattern| fits(&pattern)))?;
    let mut evidence = vec![fact(format!("the check that failed is {}'s", checked.function))];
    evidence.extend(place(case));
    Some(Diagnosis {
        cause,
        summary: format!("{} {means}.", case.in_function()),
        confidence: Confidence::Likely,
        evidence,
        advice: sentences([advice]),
    })
}

/// A message that only its author understands: quoted, and said to be a check's.
fn words(case: &Case<'_>) -> Option<Diagnosis> {
    let (number, text) = message(case)?;
    let mut evidence = vec![line("the kernel's own words", (number, text.to_owned()))];
    evidence.extend(place(case));
    let strength = match case.report.kind {
        Kind::Warning => "warns, and goes on",
        _ => "stops",
    };
    Some(Diagnosis {
        cause: "failed-check",
        summary: format!(
            "A check of the kernel's own failed and {strength}: \"{}\" (in {}).",
            super::short(text, 160),
            case.in_function()
        ),
        confidence: Confidence::Likely,
        evidence,
        advice: sentences(["read the check at its line: its condition is what was taken for impossible"]),
    })
}

/// The check's message: its condition, or the line that stands with the headline and is no other line's.
fn message<'a>(case: &Case<'a>) -> Option<(u64, &'a str)> {
    if let Some(dumped) = case.says("page dumped because: VM_BUG_ON") {
        return Some(dumped);
    }
    // CONFIG_DEBUG_BUGVERBOSE_DETAILED puts the condition into the headline.
    let headline = case.report.headline.as_str();
    let first = case.report.span.first_line;
    if headline.starts_with("WARNING: [") {
        return Some((first, headline));
    }
    let head = case
        .report
        .details
        .iter()
        .find(|(_, text)| text.contains("kernel BUG at") || text.starts_with("WARNING: "));
    let at = head.map_or(first, |(number, _)| *number);
    let is_message = |text: &str| {
        text.split_whitespace().count() > 1
            && ![
                "---",
                "8<---",
                "kernel BUG at",
                "WARNING: ",
                "invalid opcode",
                "Oops",
                "flags:",
                "raw:",
                "page:",
                "head:",
            ]
            .iter()
            .any(|start| text.starts_with(start))
    };
    let near = |number: u64| number <= at.saturating_add(2);
    if headline.starts_with("rust_kernel: ") {
        let told = case.report.details.iter().find(|(_, text)| is_message(text));
        return told.map(|(number, text)| (*number, text.as_str()));
    }
    let told = case.report.details.iter().find(|(number, text)| near(*number) && is_message(text));
    told.map(|(number, text)| (*number, text.as_str()))
}
