//! What earlier versions of vch-lb wrote where there was no checksum to tell that a file is theirs. Pure.
//!
//! Former templates lie in `templates/former` as they were; each one's head says when it was in use.

use super::{Config, Model};

/// Settings version 1, and the files without a line of its time: the script's, and the same with `expose-fd`.
const TEMPLATE_1: &str = include_str!("../../templates/former/1.cfg.hbs");

/// Every text that the vch-lb of settings version 1 may have written for what `config` says; `line` is what stands at the
/// head of the file that was found. It took an image's tag for HAProxy's version, so what depends on that may be either way.
pub(super) fn texts<'a>(
    config: &'a Config,
    line: Option<&'a str>,
) -> impl Iterator<Item = String> + 'a {
    let versions = [(false, false), (true, true), (true, false)];
    versions
        .into_iter()
        .filter_map(move |(hand_over, prometheus)| {
            let model = Model {
                settings: line.map(str::to_owned),
                balance: config.tuning.balance,
                socket: hand_over,
                hand_over,
                init_addr: false,
                prometheus,
                ..config.model()
            };
            let text = super::fill_in(config, TEMPLATE_1, &model).ok()?;
            Some(match (&config.template, line) {
                (Some(_), Some(line)) if text.lines().next() != Some(line) => {
                    format!("{line}\n{text}")
                }
                _ => text,
            })
        })
}
