#![allow(missing_docs)]
fn main() {
    let t = std::time::Instant::now();
    let path = std::env::args().nth(1).unwrap();
    let n: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let image = kvet_image::Image::open(path.as_ref()).unwrap();
    println!("open {:?}", t.elapsed());
    let syms = image.symbols();
    println!("symbols {} {:?}", syms.len(), t.elapsed());
    let fs: Vec<_> = syms
        .iter()
        .filter(|s| s.kind == kvet_image::SymbolKind::Function && s.size > 16 && image.is_executable(s.addr))
        .collect();
    let step = (fs.len() / n).max(1);
    for (i, s) in fs.iter().step_by(step).take(n).enumerate() {
        let a = kvet_image::VirtAddr(s.addr.0 + s.size / 2);
        let l = image.source_line(a);
        if i < 5 {
            println!("{a} {} {:?} {:?}", s.name, l, t.elapsed());
        }
    }
    println!("{:?}", t.elapsed());
}
