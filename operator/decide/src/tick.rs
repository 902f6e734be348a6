//! What all stages of one tick share.

use crate::input::Input;
use crate::policy::Policy;
use crate::tiers::Tiers;
use crate::time::{Duration, Time};

/// One tick.
pub(crate) struct Tick<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) input: &'a Input,
    pub(crate) tiers: &'a Tiers,
    /// Never before the tick before.
    pub(crate) now: Time,
    /// Later than the tick before. Only such a tick is counted and remembered, so that repeating one changes nothing.
    pub(crate) fresh: bool,
    /// Since the tick before.
    pub(crate) elapsed: Duration,
    /// The floor that was written last.
    pub(crate) floor: u32,
    /// The cap that was written last.
    pub(crate) cap: u32,
    /// The count that is wanted now.
    pub(crate) observed: u32,
}
