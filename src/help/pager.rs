//! Which pager shows what is longer than the terminal.

/// A program that shows a text screen by screen.
#[derive(Debug, PartialEq, Eq)]
pub struct Pager {
    pub program: String,
    pub args: Vec<String>,
    /// What its environment holds beside ours.
    pub env: Option<(&'static str, &'static str)>,
}

/// What less is told where the admin tells it nothing: end at once if one screen is enough, let colours through, and leave
/// the text on the screen.
const LESS: (&str, &str) = ("LESS", "FRX");

impl Pager {
    /// The admin's own, or `less`; none where PAGER says that there is to be none, or can't be understood.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let words = variable("PAGER").unwrap_or_else(|| "less".into());
        // Split as a shell does, and never seen by one.
        let mut words = shell_words::split(&words).ok()?.into_iter();
        let program = words.next().filter(|program| !program.is_empty())?;
        let args: Vec<String> = words.collect();
        if program == "cat" && args.is_empty() {
            return None;
        }
        let env = variable(LESS.0).is_none().then_some(LESS);
        Some(Self { program, args, env })
    }
}

/// Whether a text of so many lines wants a pager on a terminal of so many rows: the prompt takes one.
pub fn is_wanted(text: &str, rows: usize) -> bool {
    text.lines().count() >= rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pager(given: &[(&str, &str)]) -> Option<(String, Vec<String>, bool)> {
        let found = |name: &str| {
            let value = given.iter().find(|(known, _)| *known == name);
            value.map(|(_, value)| (*value).to_owned())
        };
        let pager = Pager::from_environment(found)?;
        Some((pager.program, pager.args, pager.env.is_some()))
    }

    #[test]
    fn the_pager_is_the_admins_and_its_words_are_split_as_a_shell_does() {
        let of = |program: &str, args: &[&str], told: bool| {
            let args = args.iter().map(|arg| (*arg).to_owned()).collect();
            Some((program.to_owned(), args, told))
        };
        assert_eq!(pager(&[]), of("less", &[], true));
        assert_eq!(pager(&[("LESS", "")]), of("less", &[], false));
        assert_eq!(
            pager(&[("PAGER", "more -d '+/a b'; rm x $(y)")]),
            of("more", &["-d", "+/a b;", "rm", "x", "$(y)"], true)
        );
        for none in ["", "  ", "cat", " cat ", "less '", "''"] {
            assert_eq!(pager(&[("PAGER", none)]), None, "{none:?}");
        }
    }

    #[test]
    fn what_fits_wants_none() {
        assert!(!is_wanted("a\nb\n", 3));
        assert!(is_wanted("a\nb\nc\n", 3));
    }
}
