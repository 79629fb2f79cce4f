//! `vch-lb settings`: every value in force, and where it came from.

use std::fmt::Write as _;

use serde_json::json;

use super::Context;
use crate::error::{Failure, exit};
use crate::service::tuning::AUTO;
use crate::settings::{SERVER_ADDRESS, Value};

pub(super) fn show(context: &Context<'_>) -> Result<u8, Failure> {
    // A table of values that can't be used would be no answer.
    context.spec()?;
    if context.ui.json() {
        let settings: serde_json::Map<String, serde_json::Value> = context
            .settings
            .iter()
            .map(|value| {
                let entry = json!({ "value": value.shown(), "source": value.source() });
                (value.setting.name.to_owned(), entry)
            })
            .collect();
        let answer = json!({ "schema": "vch-lb/settings/1", "settings": settings });
        context.ui.answer_json(&answer);
        return Ok(exit::DONE);
    }
    let lines: Vec<String> = context
        .settings
        .iter()
        .map(|value| {
            format!(
                "{}={}",
                value.setting.name,
                shell_words::quote(&value.shown())
            )
        })
        .collect();
    let width = lines
        .iter()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (line, value) in lines.iter().zip(context.settings.iter()) {
        let source = value.source();
        let means = what_auto_means(value);
        let _ = writeln!(text, "{line:width$}  # {source}{means}");
    }
    context.ui.answer(&text);
    Ok(exit::DONE)
}

/// What a value comes to that is left to the endpoint, which is not asked here.
fn what_auto_means(value: &Value) -> &'static str {
    match value.setting.name {
        SERVER_ADDRESS if value.text == AUTO => {
            ": ip on a VCH, else name; a service keeps what it has"
        }
        _ => "",
    }
}
