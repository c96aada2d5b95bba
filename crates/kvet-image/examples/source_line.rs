//! The source line of an address: `source_line FILE [--debug DEBUG-FILE] ADDRESS...`, addresses in hex or as
//! symbols. Prints how long the opening and each look-up took.

use std::path::Path;
use std::time::Instant;

use kvet_image::{Image, VirtAddr};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let start = Instant::now();
    let debug = args.iter().position(|a| a == "--debug").map(|at| args.drain(at..at + 2).nth(1));
    let path = args.first().ok_or("usage: source_line FILE [--debug DEBUG-FILE] ADDRESS...")?;
    let image = match debug.flatten() {
        Some(debug) => Image::open_with_debug(Path::new(path), Path::new(&debug))?,
        None => Image::open(Path::new(path))?,
    };
    eprintln!("opened in {:?}", start.elapsed());
    for name in &args[1..] {
        let addr = match u64::from_str_radix(name.trim_start_matches("0x"), 16) {
            Ok(addr) => VirtAddr(addr),
            Err(_) => image.symbol_addr(name).ok_or("no such symbol")?,
        };
        let start = Instant::now();
        let line = image.source_line(addr);
        let took = start.elapsed();
        match line {
            None => println!("{addr} ?"),
            Some(line) => {
                println!("{addr} {}:{} {}", line.file, line.line, line.function.as_deref().unwrap_or("?"));
                for call in line.inlined {
                    let (file, function) = (call.file.unwrap_or_default(), call.function.unwrap_or_default());
                    println!("  inlined at {file}:{} {function}", call.line);
                }
            }
        }
        eprintln!("looked up in {took:?}");
    }
    Ok(())
}
