//! Colours, in one place.

use anstyle::{AnsiColor, Style};
use kvet_finding::Severity;

/// Paints, or leaves text as it is.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// With colours or without.
    pub fn new(on: bool) -> Paint {
        Paint(on)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A severity's own colour.
    pub fn severity(self, severity: Severity, text: &str) -> String {
        let color = match severity {
            Severity::Error => AnsiColor::BrightRed,
            Severity::Warning => AnsiColor::BrightYellow,
            Severity::Note => AnsiColor::BrightCyan,
        };
        self.with(color.on_default().bold(), text)
    }

    /// What stands out without being a judgement.
    pub fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// The frame around the text.
    pub fn frame(self, text: &str) -> String {
        self.with(AnsiColor::BrightBlue.on_default().bold(), text)
    }

    /// Less important than its surroundings.
    pub fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// All is well.
    pub fn good(self, text: &str) -> String {
        self.with(AnsiColor::BrightGreen.on_default().bold(), text)
    }

    /// Something is wrong.
    pub fn bad(self, text: &str) -> String {
        self.with(AnsiColor::BrightRed.on_default().bold(), text)
    }

    /// Something to do.
    pub fn help(self, text: &str) -> String {
        self.with(AnsiColor::BrightCyan.on_default().bold(), text)
    }
}
