//! Filling in a template, within limits. Pure.
//!
//! An own template may lie in a load balancer, so anybody who can use the endpoint may have written it. Whatever it is, it
//! can't take the stack, the memory or more than a few seconds of whoever only looks at the service.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;

use handlebars::template::{DecoratorTemplate, HelperTemplate, Parameter, Template};
use handlebars::template::{Subexpression, TemplateElement};
use handlebars::{Handlebars, RenderError};
use serde::Serialize;

/// How long a template may be, in bytes.
const SOURCE: usize = 256 << 10;
/// How many `{{` there may be, and how many brackets: the parser goes a level deeper with each of them, at most.
const TAGS: usize = 2000;
const BRACKETS: usize = 4000;
/// In bytes, for as many levels as those.
const STACK: usize = 256 << 20;
/// How deep blocks may stand in each other.
const DEPTH: usize = 64;
/// How many parts of the template may be filled in, those that are repeated as often as they may be: some seconds of work.
const WORK: usize = 4_000_000;
/// So many bytes of text between two brackets are as much work as one part.
const TEXT: usize = 256;
/// How long what is rendered may be, in bytes.
const RENDERED: usize = 16 << 20;

/// Why a template can't be filled in.
#[derive(Debug)]
pub(super) enum Error {
    /// It is beyond a limit: which, in words.
    Limit(String),
    Handlebars(Box<RenderError>),
}

impl From<RenderError> for Error {
    fn from(error: RenderError) -> Self {
        Self::Handlebars(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(what) => f.write_str(what),
            Self::Handlebars(error) => error.fmt(f),
        }
    }
}

/// `source`, an own template, with the values of `model`, in which no list is longer than `longest`.
pub(super) fn fill_in(
    source: &str,
    model: &(impl Serialize + Sync),
    longest: usize,
) -> Result<String, Error> {
    within_stack(source).map_err(Error::Limit)?;
    thread::scope(|scope| {
        let filled = || {
            let template = Template::compile(source).map_err(RenderError::from)?;
            within_work(&template, longest).map_err(Error::Limit)?;
            render(template, model)
        };
        let thread = thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, filled)
            .map_err(|error| Error::Limit(format!("there is no room to read it in: {error}")))?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The built-in template, or a former one, with the values of `model`.
pub(super) fn fill_in_own(source: &'static str, model: &impl Serialize) -> Result<String, Error> {
    render(parsed(source)?, model)
}

/// Parsed once in a run, which takes far longer than to fill it in: a run renders many times over.
fn parsed(source: &'static str) -> Result<Template, RenderError> {
    static PARSED: Mutex<BTreeMap<&str, Template>> = Mutex::new(BTreeMap::new());
    let mut parsed = PARSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(template) = parsed.get(source) {
        return Ok(template.clone());
    }
    let template = Template::compile(source)?;
    parsed.insert(source, template.clone());
    Ok(template)
}

fn render(template: Template, model: &impl Serialize) -> Result<String, Error> {
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(handlebars::no_escape);
    handlebars.register_template("", template);
    let mut rendered = Bounded(Vec::new());
    match handlebars.render_to_write("", model, &mut rendered) {
        Err(_) if rendered.is_full() => {
            let most = RENDERED >> 20;
            return Err(Error::Limit(format!(
                "what it renders is longer than {most} MiB"
            )));
        }
        rendered => rendered?,
    }
    let mut text = String::from_utf8_lossy(&rendered.0).into_owned();
    // HAProxy takes a last line without an end for a truncated file.
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// What is rendered, as far as there is room.
struct Bounded(Vec<u8>);

impl Bounded {
    fn is_full(&self) -> bool {
        self.0.len() > RENDERED
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_full() {
            return Err(io::Error::other("it is full"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether it can be parsed at all: what the parser recurses by is counted wherever it stands, in comments too, so that
/// nothing can hide from it.
fn within_stack(source: &str) -> Result<(), String> {
    if source.len() > SOURCE {
        return Err(format!("it is longer than {} KiB", SOURCE >> 10));
    }
    if source.matches("{{").count() > TAGS {
        return Err(format!("it has more than {TAGS} `{{{{`"));
    }
    let brackets = source.matches(['(', '[', '{']).count();
    if brackets - 2 * source.matches("{{").count() > BRACKETS {
        return Err(format!("it has more than {BRACKETS} brackets"));
    }
    Ok(())
}

/// Whether it can be rendered in a reasonable time, with lists of `longest` entries at most.
fn within_work(template: &Template, longest: usize) -> Result<(), String> {
    // An object can be gone through like a list.
    let work = work(template, longest.max(32), 0)?;
    if work > WORK {
        return Err(format!(
            "it repeats too much: more than {WORK} parts, as often as they may be repeated"
        ));
    }
    Ok(())
}

/// How many parts are filled in at most.
fn work(template: &Template, longest: usize, depth: usize) -> Result<usize, String> {
    if depth > DEPTH {
        return Err(format!("its blocks are nested more than {DEPTH} deep"));
    }
    let mut sum = 0_usize;
    for element in &template.elements {
        let more = match element {
            TemplateElement::RawString(text) | TemplateElement::Comment(text) => of_text(text),
            TemplateElement::Expression(helper)
            | TemplateElement::HtmlExpression(helper)
            | TemplateElement::HelperBlock(helper) => of_helper(helper, longest, depth)?,
            TemplateElement::PartialExpression(decorator)
            | TemplateElement::PartialBlock(decorator)
            | TemplateElement::DecoratorExpression(decorator)
            | TemplateElement::DecoratorBlock(decorator) => return Err(refused(decorator)),
            _ => return Err("it has a part that is not known here".into()),
        };
        sum = sum.saturating_add(more);
    }
    Ok(sum)
}

fn refused(decorator: &DecoratorTemplate) -> String {
    let name = decorator.name.as_name().unwrap_or_default();
    format!("partials and decorators such as `{name}` can't be used")
}

fn of_text(text: &str) -> usize {
    1 + text.len() / TEXT
}

fn of_helper(helper: &HelperTemplate, longest: usize, depth: usize) -> Result<usize, String> {
    let parameters = helper.params.iter().chain(helper.hash.values());
    let mut sum = parameters.fold(1, |sum: usize, each| sum.saturating_add(of_parameter(each)));
    for block in [&helper.template, &helper.inverse].into_iter().flatten() {
        sum = sum.saturating_add(work(block, longest, depth + 1)?);
    }
    // No other helper repeats its block.
    let repeats = helper.name.as_name() == Some("each");
    Ok(sum.saturating_mul(if repeats { longest } else { 1 }))
}

fn of_parameter(parameter: &Parameter) -> usize {
    match parameter {
        Parameter::Literal(value) => of_text(&value.to_string()),
        Parameter::Subexpression(Subexpression { element, .. }) => match element.as_ref() {
            TemplateElement::Expression(helper) => {
                let parameters = helper.params.iter().chain(helper.hash.values());
                parameters.fold(1, |sum: usize, each| sum.saturating_add(of_parameter(each)))
            }
            _ => 1,
        },
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(source: &str) -> Result<String, String> {
        let model = serde_json::json!({"a": "x", "list": [{"n": 1}, {"n": 2}], "port": 80});
        fill_in(source, &model, 2).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_used_is_allowed() {
        for (source, text) in [
            ("{{#each list}}{{n}}{{../port}} {{/each}}", "180 280 \n"),
            ("{{!-- {{#if}} --}}{{#if a}}{{a}}{{else}}no{{/if}}", "x\n"),
            (
                "{{#if (eq a \"x\")}}y{{/if}}{{#unless a}}z{{/unless}}",
                "y\n",
            ),
            ("%[req.hdr(0)] { }\n", "%[req.hdr(0)] { }\n"),
            ("\\{{a}}", "{{a}}\n"),
        ] {
            assert_eq!(filled(source).as_deref(), Ok(text), "{source}");
        }
    }

    #[test]
    fn what_is_beyond_a_limit_is_said() {
        let nested = |open: &str, count: usize, close: &str| {
            format!("{}{}", open.repeat(count), close.repeat(count))
        };
        for (source, why) in [
            (
                "{{#*inline \"x\"}}{{> x}}{{/inline}}{{> x}}".to_owned(),
                "partials and decorators such as `inline`",
            ),
            ("{{> x}}".into(), "partials and decorators such as `x`"),
            ("{{#> x}}{{/x}}".into(), "partials and decorators"),
            ("{{* x}}".into(), "partials and decorators"),
            (
                nested("{{#each list}}", 40, "{{/each}}"),
                "it repeats too much",
            ),
            (
                format!(
                    "{{{{#each list}}}}{}{{{{/each}}}}",
                    "{{#if a}}{{/if}}".repeat(900)
                ),
                "",
            ),
            (
                nested("{{#if a}}", 20_000, "{{/if}}"),
                "longer than 256 KiB",
            ),
            (nested("{{#if a}}", 1_500, "{{/if}}"), "more than 2000 `{{`"),
            (
                nested("{{#if a}}", 900, "{{/if}}"),
                "nested more than 64 deep",
            ),
            (
                format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if a}}".repeat(1900)),
                "nested more than 64 deep",
            ),
            (nested("{{#if a}}", 64, "{{/if}}"), ""),
            ("x".repeat(300_000), "longer than 256 KiB"),
            ("(".repeat(5000), "more than 4000 brackets"),
        ] {
            let start: String = source.chars().take(60).collect();
            match filled(&source) {
                Err(told) => assert!(!why.is_empty() && told.contains(why), "{start}: {told}"),
                Ok(_) => assert_eq!(why, "", "{start}"),
            }
        }
    }

    #[test]
    fn what_is_rendered_is_bounded() {
        let list = vec![serde_json::json!({}); 200];
        let source = format!("{{{{#each list}}}}{}{{{{/each}}}}", "x".repeat(100_000));
        let filled = fill_in(&source, &serde_json::json!({"list": list}), 200);
        let told = filled.unwrap_err().to_string();
        assert!(told.contains("longer than 16 MiB"), "{told}");
    }

    /// As deep as the limits let it go, which takes more stack than a thread usually has.
    #[test]
    fn no_nesting_overflows_the_stack() {
        for source in [
            format!("{{{{a {}", "(a ".repeat(3999)),
            format!("{{{{a {}1{}}}}}", "(eq ".repeat(3999), ")".repeat(3999)),
            format!("{{{{a {}", "[".repeat(3999)),
            format!("{{{{a {}{}}}}}", "[".repeat(3999), "]".repeat(3999)),
            format!("{{{{a {}", "{\"a\":".repeat(3999)),
            format!("{{{{a {}", "x=(a ".repeat(3999)),
            "{{#if a}}".repeat(1999),
            "{{#a}}{{else if a}}".repeat(999),
            "{{{{a}}}}".repeat(499),
            "{{#each list}}{{^}}".repeat(999),
        ] {
            let _ = filled(&source);
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_tags_never_panic(
            tags in proptest::collection::vec(r#"[{]{2,4}[~#^*>/!& ]{0,2}(if|each|else|a|list|n|inline|\.\.|this)? ?[(a"x\[]{0,3}[})]{0,4}"#, 0..12)
        ) {
            let _ = filled(&tags.concat());
        }
    }
}
