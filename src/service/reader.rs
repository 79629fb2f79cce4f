//! Texts of settings read as what they mean; what is wrong is collected, so that all of it is said at once. Pure.

/// Why a setting can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub name: &'static str,
    pub why: String,
}

/// What reads settings.
pub struct Reader<'a> {
    /// The text of a setting, by name.
    text: &'a dyn Fn(&str) -> String,
    complaints: Vec<Complaint>,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a dyn Fn(&str) -> String) -> Self {
        Self {
            text,
            complaints: Vec::new(),
        }
    }

    pub fn text(&self, name: &str) -> String {
        (self.text)(name)
    }

    pub fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&self.text(name)) {
            Ok(value) => Some(value),
            Err(why) => {
                self.complain(name, why);
                None
            }
        }
    }

    pub fn complain(&mut self, name: &'static str, why: impl Into<String>) {
        let why = why.into();
        self.complaints.push(Complaint { name, why });
    }

    /// `value`, which was read, unless anything was wrong.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Complaint>> {
        match value {
            Some(value) if self.complaints.is_empty() => Ok(value),
            _ => Err(self.complaints),
        }
    }
}
