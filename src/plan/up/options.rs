//! What the admin decides beyond the spec.

/// When images are pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Pull {
    /// Before containers are made from them
    Always,
    /// Where the endpoint does not have them
    Missing,
    /// Never: the endpoint has them
    Never,
}

/// What the admin decides beyond the spec.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `None`: always for a service that is not there, else for images that are missing.
    pub pull: Option<Pull>,
    /// How many instances are replaced at a time.
    pub batch: usize,
    /// Old instances leave before their successors come.
    pub stop_first: bool,
    /// Replace every instance, whatever it was made from.
    pub replace_all: bool,
    /// Replace every instance that was not made from what the image's name means now, by ID.
    pub by_image_id: bool,
    /// Overwrite a configuration that was edited by hand.
    pub overwrite: bool,
    /// Replace a load balancer that can't be changed in place: a short outage.
    pub recreate_lb: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pull: None,
            batch: 1,
            stop_first: false,
            replace_all: false,
            by_image_id: false,
            overwrite: false,
            recreate_lb: false,
        }
    }
}
