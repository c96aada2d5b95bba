//! Shows what kvet-memory finds: `probe KERNEL MEMORY [REGISTERS]`.
#![allow(missing_docs)]

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use kvet_image::Image;
use kvet_memory::{Guest, Memory, Registers, cpus, dmesg, features, keys, text};
use kvet_tables::Context;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let t = Instant::now();
    let image = Image::open(Path::new(&args[1])).expect("a kernel");
    eprintln!("image {:?}", t.elapsed());
    let memory = Memory::open(Path::new(&args[2]), image.arch()).expect("a memory");
    let registers = args.get(3).map(|p| std::fs::read_to_string(p).expect("registers"));
    let registers = registers.map(|t| Registers::of_monitor(image.arch(), &t)).unwrap_or_default();
    let guest = match Guest::new(memory, &image, registers) {
        Ok(guest) => guest,
        Err(e) => return eprintln!("{e}"),
    };
    eprintln!("guest {:?} {:?} {:?}", t.elapsed(), guest.placement(), guest.tables());
    eprintln!("layouts {} info {}", guest.layouts().source(), guest.vmcoreinfo().is_some());
    match dmesg::read(&guest) {
        Ok(log) => {
            eprintln!(
                "dmesg {:?} {} records by {} {:?} lost {}",
                t.elapsed(),
                log.records.len(),
                log.found_by,
                log.remarks,
                log.lost
            );
            let _ = std::io::stdout().write_all(&log.text(false));
        }
        Err(e) => eprintln!("{e}"),
    }
    let context = Context::new(&image, None);
    match features::features(&guest, &context) {
        Ok(set) => eprintln!("features {:?} {:?}", t.elapsed(), features::names(&guest, &context, &set)),
        Err(e) => eprintln!("features: {e}"),
    }
    match keys::keys(&guest, &context) {
        Ok(all) => {
            let odd = all.iter().filter(|k| k.otherwise + k.in_patching + k.other > 0);
            eprintln!(
                "keys {:?} {} on {} odd {:?}",
                t.elapsed(),
                all.len(),
                all.iter().filter(|k| k.is_on()).count(),
                odd.collect::<Vec<_>>()
            );
        }
        Err(e) => eprintln!("keys: {e}"),
    }
    match text::audit(&guest, &context) {
        Ok(audit) => {
            eprintln!(
                "text {:?} {} bytes {:?} on the way {} relocated {} traced {} stage {:?} more {} skipped {:?} poke {:?}",
                t.elapsed(),
                audit.bytes,
                audit.as_expected,
                audit.on_the_way,
                audit.relocated,
                audit.traced,
                audit.stage,
                audit.more,
                audit.skipped,
                audit.poke
            );
            eprintln!("ODDITIES {} faults {}", audit.oddities.len(), audit.faults().count());
            for o in audit.oddities.iter().take(std::env::var("N").map_or(20, |n| n.parse().unwrap_or(20))) {
                eprintln!(
                    "   {} {:?} {:?} {:?}",
                    o.start,
                    guest.symbolize(guest.to_runtime(o.start)),
                    o.kind,
                    o.owner
                );
                eprintln!(
                    "      file {:02x?}\n      want {:02x?}\n      have {:02x?}",
                    o.file, o.expected, o.memory
                );
            }
        }
        Err(e) => eprintln!("text: {e}"),
    }
    for cpu in cpus::cpus(&guest, &context) {
        eprintln!("{} preempt {:?}", cpu.line(&guest), cpu.preempt_count);
        for f in &cpu.trace.frames {
            eprintln!("    {:?}", f.symbol);
        }
        eprintln!("    stopped: {:?}", cpu.trace.stopped);
    }
    eprintln!("all {:?}", t.elapsed());
}
