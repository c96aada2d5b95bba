//! What the lab hears in a log: `judge LOG...`.
fn main() {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).expect("a log");
        let story = kvet_lab::voice::story(&bytes, None);
        println!("{path}: {} reports", story.reports.len());
        for said in story.reports.iter().take(4).chain(&story.silence) {
            println!(
                "  {} {:?} | {} | cause {:?} | {}",
                said.kind, said.function, said.title, said.cause, said.signature
            );
            if let Some(d) = &said.diagnosis {
                println!("    {} {}: {}", d.confidence, d.cause, d.summary);
            }
        }
    }
}
