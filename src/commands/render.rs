//! `vch-lb render`: the haproxy.cfg for the settings, touching nothing.

use super::Context;
use crate::error::{Failure, exit};
use crate::haproxy::Config;

pub(super) fn render(context: &Context<'_>) -> Result<u8, Failure> {
    let spec = context.spec()?;
    let numbers: Vec<_> = (1..).take(spec.count.get()).collect();
    let text = Config::by_name(&spec, &numbers).render()?;
    if context.ui.json() {
        context
            .ui
            .answer_json(&serde_json::json!({ "schema": "vch-lb/render/1", "haproxy_cfg": text }));
    } else {
        context.ui.answer_verbatim(&text);
    }
    Ok(exit::DONE)
}
