//! `kvet report`: one HTML file of a campaign, to look at and to send to others.
//!
//! It needs nothing but itself: style and drawings are inside, there is no script. Whatever a guest said is text,
//! escaped by the template, and made harmless for the eye (control and reordering characters) before that.

mod charts;
mod data;
mod page;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use kvet_lab::Error;

use crate::boot::paths;
use crate::exit::Exit;
use crate::progress::complain;
use crate::text;

/// `kvet report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// The campaign
    #[arg(value_name = "CAMPAIGN")]
    campaign: i64,
    /// Where to write the page; `-` is stdout [default: kvet-campaign-ID.html here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The file that campaigns are kept in [default: kvet/boots.sqlite in the XDG state directory]
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

/// Runs `kvet report`.
pub fn run(args: &ReportArgs) -> Exit {
    match write(args) {
        Ok(()) => Exit::Clean,
        Err(Error::Io { why, .. }) if why.kind() == std::io::ErrorKind::BrokenPipe => Exit::Clean,
        Err(error) => {
            complain(&text::Lines(&error.to_string()).to_string());
            Exit::Unanswered
        }
    }
}

fn write(args: &ReportArgs) -> Result<(), Error> {
    let path = args.store.clone().unwrap_or_else(paths::default_store);
    let store = crate::runs::open(&path)?;
    let data = data::Data::read(&store, args.campaign)?;
    let html = page::page(&data).into_string();
    let target =
        args.output.clone().unwrap_or_else(|| format!("kvet-campaign-{}.html", args.campaign).into());
    let failed = |why| Error::Io { what: text::path(&target), why };
    if target.as_os_str() == "-" {
        return std::io::stdout().write_all(html.as_bytes()).map_err(failed);
    }
    std::fs::write(&target, html).map_err(failed)?;
    complain(&format!("{} is written", text::path(&target)));
    Ok(())
}
