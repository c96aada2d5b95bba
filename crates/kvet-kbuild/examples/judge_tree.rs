//! Prints what is stale in a build tree.
fn main() {
    let root = std::env::args().nth(1).expect("a build directory");
    let t = std::time::Instant::now();
    let tree = kvet_kbuild::Tree::read(root.as_ref()).expect("a build tree");
    println!("{} targets, {} files, {:?}", tree.targets.len(), tree.files.len(), t.elapsed());
    let mut v = kvet_kbuild::judge(&tree, &std::env::var_os("PATH").unwrap_or_default());
    println!("{:?}", t.elapsed());
    if std::env::args().nth(2).is_some() {
        let e = kvet_kbuild::edges(&tree, || ());
        println!("deep {} {:?} {:?}", e.asked, e.failures, t.elapsed());
        v.add(e.reasons);
    }
    for s in v.stale.iter().take(60) {
        println!("{}", tree.name(tree.targets[s.target].file));
        for r in s.reasons.iter().take(3) {
            println!("   {}: {r}", r.rule());
        }
    }
    println!("{} stale; {:?}", v.stale.len(), v.skipped);
}
