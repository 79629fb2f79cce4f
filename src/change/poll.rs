//! Looking again and again until something is so, or it is too late.

use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::interrupt::Interrupt;

/// The pause after the first look; each one after that is twice as long as the one before.
const FIRST: Duration = Duration::from_millis(50);

/// One wait: when it is over, and how long the next pause is.
pub struct Poll<'a> {
    interrupt: &'a Interrupt,
    started: Instant,
    within: Duration,
    pause: Duration,
    longest: Duration,
}

impl<'a> Poll<'a> {
    /// A wait of `within`, with pauses of at most `longest`.
    pub fn new(interrupt: &'a Interrupt, within: Duration, longest: Duration) -> Self {
        Self {
            interrupt,
            started: Instant::now(),
            within,
            pause: FIRST.min(longest),
            longest,
        }
    }

    /// Whether the time is over. Asked before the last look, so that one always comes after the last pause.
    pub fn is_over(&self) -> bool {
        self.started.elapsed() >= self.within
    }

    /// Waits for the next look; fails if an interrupt came before or meanwhile.
    pub fn pause(&mut self) -> Result<(), Failure> {
        let left = self.within.saturating_sub(self.started.elapsed());
        self.interrupt.sleep(self.pause.min(left));
        self.pause = (self.pause * 2).min(self.longest);
        self.interrupt
            .signal()
            .map_or(Ok(()), |signal| Err(Failure::interrupted(signal)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_more_and_more_rarely_and_once_more_at_the_end() {
        let interrupt = Interrupt::default();
        let (within, longest) = (Duration::from_millis(250), Duration::from_millis(100));
        let mut poll = Poll::new(&interrupt, within, longest);
        let mut looks = Vec::new();
        loop {
            let over = poll.is_over();
            looks.push(poll.started.elapsed());
            if over {
                break;
            }
            poll.pause().unwrap();
        }
        let first = looks[1].saturating_sub(looks[0]);
        assert!(first >= FIRST, "{looks:?}");
        assert!(looks.len() <= 5, "{looks:?}");
        assert!(
            looks.last().is_some_and(|last| *last >= within),
            "{looks:?}"
        );
    }

    #[test]
    fn an_interrupt_ends_it() {
        let interrupt = Interrupt::raised_for_test(15);
        let long = Duration::from_mins(1);
        let mut poll = Poll::new(&interrupt, long, long);
        assert_eq!(poll.pause().unwrap_err().kind.exit_code(), 143);
        assert!(poll.started.elapsed() < Duration::from_secs(5));
    }
}
