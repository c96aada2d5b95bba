//! `kvet check`: from arguments to artefacts, to reports in order, to a renderer.
//!
//! Reports stream: at most [`pipeline::WINDOW`] of them wait for their turn, and no image outlives its own
//! report except the kernels that modules are checked against.

mod artefact;
mod collect;
mod config;
mod kernels;
mod opening;
mod pipeline;
mod summary;

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

pub use artefact::{ArtefactReport, Checked, KernelUsed, Kind, Options, Place, Unreadable};
pub use kernels::Chosen;
pub use opening::{RUNNING, is_running_module};
pub use summary::Summary;

use crate::cli::{CheckArgs, Color, Format};
use crate::exit::Exit;
use crate::progress::{Progress, complain};
use crate::render::{self, Renderer};
use crate::text;
use collect::Target;
use kernels::Kernels;

/// Runs the command.
pub fn run(args: &CheckArgs, color: Color) -> Exit {
    let targets = collect::targets(&args.artefacts, args.modules.as_deref());
    let options = match options(args, &targets) {
        Ok(options) => options,
        Err(error) => {
            complain(&error);
            return Exit::Unanswered;
        }
    };
    let mut renderer = renderer(args, color, targets.len());
    let mut out = BufWriter::new(io::stdout().lock());
    match check_all(&targets, &options, renderer.as_mut(), &mut out) {
        Ok(summary) => match options.debug.as_ref().and_then(opening::Debug::complaint) {
            Some(complaint) => {
                complain(&text::safe(&complaint));
                Exit::Unanswered
            }
            None => summary.exit(args.deny_warnings),
        },
        Err((error, summary)) => {
            // A reader that has seen enough (`| head`) is no failure worth a word; a full disk is.
            if error.kind() != io::ErrorKind::BrokenPipe {
                complain(&format!("stdout: cannot be written: {error}"));
                return Exit::Unanswered;
            }
            summary.exit(args.deny_warnings)
        }
    }
}

/// Opens what the whole run shares.
fn options(args: &CheckArgs, targets: &[Target]) -> Result<Options, String> {
    let debug = args.debug.as_deref().map(opening::Debug::open).transpose();
    let debug = debug.map_err(|error| text::safe(&format!("--debug {error}")))?;
    let btf_rules = args.as_version.map(|version| version.0);
    let kernels = Kernels::open(args.kernel.as_deref(), targets, debug.as_ref(), btf_rules)?;
    Ok(Options { kernels, debug, btf_strength: args.btf_strength.into(), btf_rules })
}

fn renderer(args: &CheckArgs, color: Color, artefacts: usize) -> Box<dyn Renderer> {
    match args.format {
        Format::Human => Box::new(render::human::Human::new(render::human::Style {
            color: color.on_stdout(),
            width: terminal_size::terminal_size()
                .map_or(100, |(width, _)| usize::from(width.0).clamp(60, 160)),
            max_findings: args.max_findings,
            verbose: args.verbose,
            artefacts,
        })),
        Format::Json => Box::new(render::json::Json::default()),
        Format::Sarif => Box::new(render::sarif::SarifRenderer::default()),
        Format::Junit => Box::new(render::junit::Junit::default()),
    }
}

/// Checks every target and renders the reports in the targets' order.
fn check_all(
    targets: &[Target],
    options: &Options,
    renderer: &mut dyn Renderer,
    out: &mut dyn Write,
) -> Result<Summary, (io::Error, Summary)> {
    let mut summary = Summary::default();
    let mut progress = Progress::new("checked", targets.len() as u64);
    let mut result = renderer.start(out);
    if result.is_ok() {
        pipeline::run(
            targets,
            |target| artefact::check_target(target, options),
            |event| match event {
                pipeline::Event::Done(done) => {
                    progress.set(done as u64);
                    ControlFlow::Continue(())
                }
                pipeline::Event::Next(report) => {
                    summary.add(&report);
                    result = progress.suspend(|| {
                        if let Err(error) = &report.outcome {
                            complain(&format!("{}: {error}", text::path(&report.path)));
                        }
                        renderer.artefact(&report, out).and_then(|()| out.flush())
                    });
                    if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                }
            },
        );
    }
    progress.finish();
    summary.unchecked = targets.len() as u64 - summary.artefacts;
    match result.and_then(|()| renderer.finish(&summary, out)).and_then(|()| out.flush()) {
        Ok(()) => Ok(summary),
        Err(error) => Err((error, summary)),
    }
}
