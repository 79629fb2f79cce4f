//! `vch-lb completions` and `vch-lb man`: what packagers ship beside the binary.

use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::{self, CompletionsArgs, ManArgs};
use crate::error::{Failure, exit};
use crate::help::TOPICS;
use crate::text;
use crate::ui::Ui;

pub(super) fn completions(ui: &Ui, args: &CompletionsArgs) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "vch-lb", &mut text);
    // clap_complete 4.6 for bash takes the hyphen in our name for the blank before a subcommand in one place and not in
    // another, so that no subcommand's flags would be completed.
    let text = String::from_utf8_lossy(&text).replace("vch__subcmd__lb", "vch__lb");
    ui.answer_verbatim(&text);
    exit::DONE
}

pub(super) fn man(ui: &Ui, args: &ManArgs) -> Result<u8, Failure> {
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.out else {
        ui.answer_verbatim(&page(&command)?);
        return Ok(exit::DONE);
    };
    std::fs::create_dir_all(folder).map_err(|error| not_written(folder, &error))?;
    let subcommands = command.get_subcommands();
    for command in [&command].into_iter().chain(subcommands) {
        let name = command.get_display_name().unwrap_or("vch-lb");
        let path = folder.join(format!("{name}.1"));
        std::fs::write(&path, page(command)?).map_err(|error| not_written(&path, &error))?;
    }
    for topic in TOPICS {
        let path = folder.join(format!("vch-lb-{}.7", topic.name));
        std::fs::write(&path, topic.manual_page()).map_err(|error| not_written(&path, &error))?;
    }
    Ok(exit::DONE)
}

/// A manual page; that of the whole tells the exit codes, and which other pages there are, too.
fn page(command: &Command) -> Result<String, Failure> {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let man = Man::new(command.clone().override_usage(usage))
        .source(concat!("vch-lb ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    let written = man.render(&mut text).and_then(|()| {
        if command.has_subcommands() {
            epilogue().to_writer(&mut text)
        } else {
            Ok(())
        }
    });
    written.map_err(|error| Failure::failed(format!("the manual page was not made: {error}")))?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n"))
}

fn epilogue() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in exit::MEANINGS {
        roff.control("TP", []);
        roff.text([bold(code.to_string())]);
        roff.text([roman(meaning)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    let pages: Vec<String> = TOPICS
        .iter()
        .map(|topic| format!("vch-lb-{}(7)", topic.name))
        .collect();
    roff.text([roman(pages.join(", "))]);
    roff
}

fn not_written(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!(
        "`{}` was not written: {}",
        path.display(),
        text::reason(error)
    ))
}
