//! What a page shows, read from the store once.

use kvet_lab::matrix::{self, Effect, Row};
use kvet_lab::plan::Amplifier;
use kvet_lab::store::{Store, Stored, StoredBoot};
use kvet_lab::voice::Milestone;
use kvet_lab::{Cluster, Console, Error, Outcome};

/// One boot in the drawings.
pub struct Point {
    /// Its number.
    pub number: u64,
    /// How it came out.
    pub outcome: Outcome,
}

/// Times of one phase over the boots that passed, in seconds, sorted.
pub struct Phase {
    /// The moment that ends it.
    pub name: &'static str,
    /// How long it took, a value a boot.
    pub seconds: Vec<f64>,
}

/// A failure with its log.
pub struct Shown {
    /// The boot.
    pub boot: StoredBoot,
    /// Its console.
    pub console: Console,
}

/// All of it.
pub struct Data {
    /// The campaign.
    pub stored: Stored,
    /// Boots that failed alike.
    pub clusters: Vec<Cluster>,
    /// Every boot, in order.
    pub points: Vec<Point>,
    /// Times by phase.
    pub phases: Vec<Phase>,
    /// Machines side by side; empty when there is one.
    pub rows: Vec<Row>,
    /// What explains their difference.
    pub effects: Vec<Effect>,
    /// Logs to show, by cluster.
    pub shown: Vec<Vec<Shown>>,
}

/// So many logs of one cluster are shown; the rest is alike.
const LOGS: usize = 2;
/// Clusters with logs: a page is to be read.
const CLUSTERS: usize = 12;

impl Data {
    /// Reads a campaign.
    pub fn read(store: &Store, id: i64) -> Result<Data, Error> {
        let stored = store.campaign(id)?;
        let clusters = store.clusters(&stored)?;
        let mut points = Vec::new();
        let mut phases: Vec<Phase> =
            Milestone::ALL.iter().map(|m| Phase { name: m.as_str(), seconds: Vec::new() }).collect();
        store.each_boot(id, |stored| {
            points.push(Point { number: stored.number, outcome: stored.boot.outcome });
            if stored.boot.outcome == Outcome::Passed {
                let mut before = 0.0;
                for (milestone, at) in &stored.boot.milestones {
                    if let Some(phase) = phases.get_mut(*milestone as usize) {
                        phase.seconds.push((at - before).max(0.0));
                    }
                    before = *at;
                }
            }
        })?;
        phases.retain(|p| !p.seconds.is_empty());
        for phase in &mut phases {
            phase.seconds.sort_by(f64::total_cmp);
        }
        let all = matrix::rows(store, &stored)?;
        let effects = matrix::effects(&all);
        let rows = match (all.len(), stored.record.plan.amplifier) {
            (0 | 1, _) => Vec::new(),
            (_, Some(Amplifier::Vary)) => matrix::by_factor(&all),
            _ => all,
        };
        let mut shown = Vec::new();
        for cluster in clusters.iter().take(CLUSTERS) {
            let mut logs = Vec::new();
            for &boot in cluster.boots.iter().take(LOGS) {
                logs.push(Shown { boot: store.boot(id, boot)?, console: store.console(id, boot)? });
            }
            shown.push(logs);
        }
        Ok(Data { stored, clusters, points, phases, rows, effects, shown })
    }
}

/// The value below which a share of sorted values lies.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    match sorted.len() {
        0 => 0.0,
        n => sorted[((n - 1) as f64 * share).round() as usize],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_few_values() {
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[3.0], 0.9), 3.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.5), 3.0);
        assert_eq!(quantile(&[1.0, 2.0], 1.0), 2.0);
    }
}
