//! `kvet explain`: from arguments to logs, to reports with their meaning, to a renderer.

mod debug_file;
mod debuginfod;
mod excerpt;
mod input;
mod kernel;
mod zstd;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use kvet_console::Log;
use kvet_explain::symbols::SameKernel;
use kvet_explain::{Context, Explained, Text};
use rayon::prelude::*;

pub use excerpt::Excerpt;

use crate::bytes::Bytes;
use crate::cli::{Color, ExplainArgs, ExplainFormat};
use crate::exit::Exit;
use crate::progress::complain;
use crate::render::explain as render;
use crate::text;
use input::Input;
use kernel::Kernel;

/// One log, explained.
pub struct Explanation {
    /// As given; `-` is stdin.
    pub path: PathBuf,
    /// How many boots it holds.
    pub boots: usize,
    /// Lines.
    pub lines: u64,
    /// The reports, causes first.
    pub reports: Vec<Explained>,
    /// The log's lines of each report, for people.
    pub excerpts: Vec<Excerpt>,
    /// Whether the kernel that was given wrote it.
    pub same_kernel: Option<SameKernel>,
}

/// A log that could not be read.
pub struct Unreadable {
    /// As given.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// One log's outcome.
pub type Outcome = Result<Explanation, Unreadable>;

/// Runs the command.
pub fn run(args: &ExplainArgs, color: Color) -> Exit {
    let kernel = match args.kernel.as_deref().map(|path| Kernel::open(path, args)).transpose() {
        Ok(kernel) => kernel,
        Err(why) => {
            complain(&text::safe(&why));
            return Exit::Unanswered;
        }
    };
    // Of many logs people see the groups, and programs read fields: neither sees the logs' own lines.
    let quoted = args.format == ExplainFormat::Human && (args.logs.len() < 2 || args.verbose);
    let outcomes = match outcomes(&args.logs, kernel.as_ref(), quoted) {
        Ok(outcomes) => outcomes,
        Err(why) => {
            complain(&text::safe(&why));
            return Exit::Unanswered;
        }
    };
    for outcome in &outcomes {
        if let Err(unreadable) = outcome {
            complain(&format!(
                "{}: cannot be read: {}",
                text::path(&unreadable.path),
                text::Safe(&unreadable.why)
            ));
        }
    }
    let exit = exit(&outcomes);
    let mut out = BufWriter::new(io::stdout().lock());
    let result = match args.format {
        ExplainFormat::Human => render::human::write(&outcomes, &style(args, color), &mut out),
        ExplainFormat::Json => render::json::write(&outcomes, &mut out),
        ExplainFormat::Kcidb => render::kcidb::write(&outcomes, &ids(args), &mut out),
    };
    let result = result.and_then(|()| out.flush());
    // The process ends with this command: thousands of reports need not be taken apart one by one before.
    std::mem::forget(outcomes);
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("stdout: cannot be written: {error}"));
            Exit::Unanswered
        }
        _ => exit,
    }
}

fn style(args: &ExplainArgs, color: Color) -> render::human::Style {
    render::human::Style {
        color: color.on_stdout(),
        width: terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0).clamp(60, 160)),
        verbose: args.verbose,
    }
}

fn ids(args: &ExplainArgs) -> render::kcidb::Ids {
    render::kcidb::Ids {
        origin: args.kcidb_origin.clone(),
        build: args.kcidb_build.clone(),
        test: args.kcidb_test.clone(),
    }
}

fn exit(outcomes: &[Outcome]) -> Exit {
    let of = |outcome: &Outcome| match outcome {
        Err(_) => Exit::Unanswered,
        Ok(log) if log.reports.is_empty() => Exit::Clean,
        Ok(_) => Exit::Wrong,
    };
    outcomes.iter().map(of).max().unwrap_or(Exit::Clean)
}

/// Every log, in order; several are worked on at once.
fn outcomes(paths: &[PathBuf], kernel: Option<&Kernel>, quoted: bool) -> Result<Vec<Outcome>, String> {
    if paths.is_empty() {
        let (path, input) = default_input()?;
        return Ok(vec![Ok(explain(&path, input, kernel, quoted).map_err(|error| error.to_string())?)]);
    }
    let one = |path: &PathBuf| -> Outcome {
        let unreadable = |why: String| Unreadable { path: path.clone(), why };
        let input = input::open(path).map_err(unreadable)?;
        explain(path, input, kernel, quoted).map_err(|error| unreadable(error.to_string()))
    };
    Ok(if paths.len() == 1 { paths.iter().map(one).collect() } else { paths.par_iter().map(one).collect() })
}

/// Without an argument: a pipe, else the running kernel's log.
fn default_input() -> Result<(PathBuf, Input), String> {
    if io::stdin().is_terminal() {
        let log = input::running_kernel()?;
        return Ok(("running kernel".into(), Input::Whole(Bytes::Owned(log))));
    }
    Ok(("-".into(), input::open(Path::new("-"))?))
}

/// Parses and explains one log; `quoted` with the lines of each report that people want to see.
fn explain(path: &Path, input: Input, kernel: Option<&Kernel>, quoted: bool) -> io::Result<Explanation> {
    let (log, bytes) = match input {
        Input::Whole(bytes) => (kvet_console::parse(&bytes), Some(bytes)),
        Input::Stream(start, rest) => (streamed(start, rest)?, None),
    };
    let text = Text(bytes.as_deref().unwrap_or_default());
    let tables = kernel.map(Kernel::tables);
    let context =
        Context { text, kernel: tables.as_ref(), symbols: kernel.map(Kernel::symbols), emulator: None };
    let reports = kvet_explain::explain(&log, &context);
    let same_kernel = kernel.map(|kernel| kvet_explain::same_kernel(&log, &reports, kernel.symbols()));
    let shown = if quoted { reports.as_slice() } else { &[] };
    let excerpts = shown.iter().map(|report| Excerpt::of(report, text)).collect();
    Ok(Explanation {
        path: path.to_owned(),
        boots: log.boots.len(),
        lines: log.lines,
        reports,
        excerpts,
        same_kernel,
    })
}

/// A log too long to keep.
fn streamed(start: Vec<u8>, mut rest: Box<dyn io::Read>) -> io::Result<Log> {
    let mut scanner = kvet_console::Scanner::new();
    drop(scanner.feed(&start));
    drop(start);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match rest.read(&mut buffer) {
            Ok(0) => return Ok(scanner.finish().1),
            Ok(len) => drop(scanner.feed(&buffer[..len])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
