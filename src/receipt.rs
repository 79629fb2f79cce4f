//! What the requests of `--probe` came to: a tally for each phase of a change, and one for the whole. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

/// What is going on while a request is on its way, from first to last. Where steps go side by side, it is the latest of
/// theirs: nothing that a reload costs is put down to the instances that start beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Starting,
    Reloading,
    Watching,
    Draining,
    Stopping,
    /// All of the way back, after a failure.
    Undoing,
}

impl Phase {
    pub const ALL: [Self; 6] = [
        Self::Starting,
        Self::Reloading,
        Self::Watching,
        Self::Draining,
        Self::Stopping,
        Self::Undoing,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Reloading => "reloading",
            Self::Watching => "watching",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Undoing => "undoing",
        }
    }
}

/// What came of the requests of one phase, or of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tally {
    pub sent: usize,
    pub failed: usize,
    pub median_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

impl Tally {
    fn new<'a>(samples: impl IntoIterator<Item = &'a Option<Duration>>) -> Self {
        let (mut sent, mut times) = (0, Vec::new());
        for sample in samples {
            sent += 1;
            times.extend(*sample);
        }
        times.sort_unstable();
        let at = |percent: usize| {
            // The nearest rank: the smallest time that this share of the requests does not exceed.
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).map(|time| time.as_secs_f64() * 1000.0)
        };
        Self {
            sent,
            failed: sent - times.len(),
            median_ms: at(50),
            p99_ms: at(99),
        }
    }

    fn line(&self) -> String {
        let mut line = format!("{} sent, {} failed", self.sent, self.failed);
        if let (Some(median), Some(p99)) = (self.median_ms, self.p99_ms) {
            let _ = write!(line, ", median {median:.1} ms, 99% within {p99:.1} ms");
        }
        line
    }
}

/// The receipt of a change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Receipt {
    pub total: Tally,
    pub phases: Vec<PhaseTally>,
}

/// The requests that were begun in one phase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseTally {
    pub phase: Phase,
    #[serde(flatten)]
    pub tally: Tally,
}

impl Receipt {
    /// By phase: how long each request took, or `None` if it failed.
    pub fn new(samples: &[Vec<Option<Duration>>; Phase::ALL.len()]) -> Self {
        let phases = Phase::ALL
            .iter()
            .zip(samples)
            .filter(|(_, samples)| !samples.is_empty());
        Self {
            total: Tally::new(samples.iter().flatten()),
            phases: phases
                .map(|(&phase, samples)| PhaseTally {
                    phase,
                    tally: Tally::new(samples),
                })
                .collect(),
        }
    }

    /// For people, one line for the whole and one for each phase.
    pub fn text(&self) -> String {
        let mut text = format!("probe: {}\n", self.total.line());
        for PhaseTally { phase, tally } in &self.phases {
            let _ = writeln!(text, "  {:<9} {}", phase.word(), tally.line());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_counts_failures_and_ranks_times() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let mut samples: [Vec<Option<Duration>>; Phase::ALL.len()] = Default::default();
        samples[Phase::Starting as usize] = vec![ms(1), ms(2), ms(9)];
        samples[Phase::Reloading as usize] = vec![None, ms(4)];
        let receipt = Receipt::new(&samples);
        assert_eq!(
            receipt.text(),
            "probe: 5 sent, 1 failed, median 2.0 ms, 99% within 9.0 ms\n  starting  3 sent, 0 failed, median 2.0 ms, \
             99% within 9.0 ms\n  reloading 2 sent, 1 failed, median 4.0 ms, 99% within 4.0 ms\n"
        );
        assert_eq!(Tally::new(&[None]).line(), "1 sent, 1 failed");
    }
}
