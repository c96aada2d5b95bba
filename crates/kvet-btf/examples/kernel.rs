//! `cargo run -p kvet-btf --example kernel -- VERSION FILE...`: a kernel's verdict on files of raw BTF.
use kvet_btf::kernel::{Options, Rules, load, vmlinux};

fn main() {
    let mut args = std::env::args().skip(1);
    let rules = Rules::for_release(&args.next().unwrap_or_default()).unwrap_or(Rules::newest());
    for file in args {
        let data = match std::fs::read(&file) {
            Ok(data) => data,
            Err(error) => {
                eprintln!("{file}: {error}");
                continue;
            }
        };
        let options = Options::new(rules);
        let now = std::time::Instant::now();
        let own = vmlinux(&data, &options);
        let middle = now.elapsed();
        let loaded = load(&data, &options);
        println!(
            "{file}: as {rules}: own {:?} {middle:?}, load {:?} {:?} {}",
            own.errno(),
            loaded.errno(),
            now.elapsed() - middle,
            loaded.log.last_line()
        );
    }
}
