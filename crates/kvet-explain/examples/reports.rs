//! Prints the reports of a log as the parser and the explainer see them: for who writes a rule.

use kvet_explain::{Context, Text, explain};

fn main() {
    for path in std::env::args_os().skip(1) {
        let Ok(bytes) = std::fs::read(&path) else {
            eprintln!("{}: cannot be read", path.display());
            continue;
        };
        let log = kvet_console::parse(&bytes);
        for one in explain(&log, &Context { text: Text(&bytes), ..Context::default() }) {
            println!("{one:#?}");
        }
    }
}
