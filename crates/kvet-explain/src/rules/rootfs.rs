//! `VFS: Unable to mount root fs`: init/do_mounts.c.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, line, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    if case.report.kind != Kind::Rootfs && !case.headline_has("Unable to mount root") {
        return None;
    }
    let mut evidence = vec![case.shows("there is no root file system", "Unable to mount root")];
    let block = device(&case.report.headline);
    let root = case
        .boot()
        .and_then(|boot| boot.command_line.as_deref())
        .and_then(|line| line.split_whitespace().find(|word| word.starts_with("root=")));
    for (needle, says) in [
        ("Cannot open root device", "the device cannot be opened"),
        ("Waiting for root device", "the kernel waited for it"),
        (
            "here are the available partitions",
            "the kernel lists the partitions that it knows after this line",
        ),
        ("List of all partitions", "the kernel lists the partitions that it knows after this line"),
        ("List of all bdev filesystems", "and the file systems"),
        ("No filesystem could mount root", "no file system that the kernel has accepts it"),
        ("Unable to mount root fs via NFS", "the network file system"),
        ("RAMDISK: ", "an initial ramdisk was given"),
        ("rootfs image is not initramfs", "the initial ramdisk is no cpio archive"),
        ("Initramfs unpacking failed", "the initial ramdisk could not be unpacked"),
        ("request_module: ", "a module was asked for"),
    ] {
        evidence.extend(case.anywhere(needle).map(|found| line(says, found)));
    }
    let unpacking = evidence.iter().any(|e| e.says.contains("unpacked") || e.says.contains("no cpio"));
    let unsupported = evidence.iter().any(|e| e.says.contains("accepts it"));
    let named = root.map_or_else(
        || "no root= is on the command line".to_owned(),
        |root| format!("the command line says {root}"),
    );
    let why = match block {
        _ if unpacking => "the initial ramdisk is damaged or of a compression that this kernel cannot read",
        Some((0, 0)) => {
            "the kernel knows no device of that name: its driver is not built in, its module is not in an initial ramdisk, or no initial ramdisk came"
        }
        Some(_) if unsupported => {
            "the device is there, but no file system driver that is built in accepts what it holds"
        }
        Some(_) => "the device has a number, but it or its file system cannot be mounted",
        None => "the message names no device",
    };
    Some(Diagnosis {
        cause: "unmountable-root",
        summary: format!("The kernel has no root file system: {why} ({named})."),
        confidence: if block == Some((0, 0)) || unsupported || unpacking {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
        evidence,
        advice: sentences([
            "compare root= with the list of partitions in the log: an empty list means that the disk's driver is missing",
            "build the drivers of disk, bus and file system in, or give the initial ramdisk of this very kernel",
        ]),
    })
}

/// The two numbers of `unknown-block(8,1)`.
fn device(headline: &str) -> Option<(u32, u32)> {
    let (_, rest) = headline.split_once("unknown-block(")?;
    let (major, rest) = rest.split_once(',')?;
    let (minor, _) = rest.split_once(')')?;
    Some((major.trim().parse().ok()?, minor.trim().parse().ok()?))
}
