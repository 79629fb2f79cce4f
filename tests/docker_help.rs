//! The flags that the help of a docker client lists.

/// Short name, long name, and whether a value follows, of each flag in `help`, the text of `docker run --help`.
pub(crate) fn flags(help: &str) -> Vec<(Option<&str>, &str, bool)> {
    let flags = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let (short, rest) = match line.split_once(", ") {
            Some((short, rest)) if short.len() == 2 && short.starts_with('-') => {
                (Some(short), rest)
            }
            _ => (None, line),
        };
        let name = rest.split_whitespace().next()?;
        let behind = rest.strip_prefix(name)?;
        // The description stands further to the right.
        let takes_value = behind.starts_with(' ') && !behind.starts_with("  ");
        name.starts_with("--").then_some((short, name, takes_value))
    });
    flags.collect()
}
