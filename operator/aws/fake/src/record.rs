//! What every fake keeps of the requests that it got.

use crate::{Fault, Faults};
use aws::{Call, Error};
use jiff::Timestamp;

/// A call that was carried out, or refused.
#[derive(Clone, Debug)]
pub struct Logged<C> {
    /// When.
    pub at: Timestamp,
    /// The call.
    pub call: C,
    /// The code of the refusal.
    pub refused: Option<String>,
}

/// Requests, calls and what is to go wrong with them.
pub(crate) struct Record<C> {
    pub faults: Faults,
    pub log: Vec<Logged<C>>,
    pub writes: u64,
    pub crash_after: Option<u64>,
    crashed: bool,
    reads: usize,
}

impl<C> Default for Record<C> {
    fn default() -> Self {
        Self { faults: Faults::default(), log: Vec::new(), writes: 0, crash_after: None, crashed: false, reads: 0 }
    }
}

/// What AWS answers: or code, status and words of a refusal.
pub(crate) type Answer<T> = Result<T, (&'static str, u16, String)>;

/// A refusal.
pub(crate) fn refuse<T>(code: &'static str, message: impl Into<String>) -> Answer<T> {
    let status = if code.contains("NotFound") { 404 } else { 400 };
    Err((code, status, message.into()))
}

/// Carries a request out, unless `fault` keeps it from that; it may be so even where the answer is an error.
pub(crate) fn answer<T>(
    operation: &'static str,
    fault: Option<Fault>,
    act: impl FnOnce() -> Answer<T>,
) -> Result<T, Error> {
    let error = fault.and_then(|fault| fault.error(operation));
    if let Some(error) = error.clone().filter(|_| fault.is_some_and(|fault| !fault.is_done())) {
        return Err(error);
    }
    let answer = act().map_err(|(code, status, message)| Error {
        operation,
        code: Some(code.to_owned()),
        status: Some(status),
        message,
    });
    error.map_or(answer, Err)
}

impl<C: Call> Record<C> {
    /// Notes a call that was carried out, or refused.
    pub fn note(&mut self, at: Timestamp, call: &C, refused: Option<String>) {
        self.writes += u64::from(refused.is_none());
        self.log.push(Logged { at, call: call.clone(), refused });
    }

    /// The caller is killed where it was to be.
    pub fn crash(&mut self) {
        if self.crash_after == Some(self.writes) {
            (self.crash_after, self.crashed) = (None, true);
        }
    }

    /// Whether the caller was killed, since it was last asked.
    pub fn take_crash(&mut self) -> bool {
        std::mem::take(&mut self.crashed)
    }

    /// Calls of this operation that were carried out.
    pub fn done(&self, operation: &str) -> Vec<C> {
        let done = self.log.iter().filter(|logged| logged.refused.is_none() && logged.call.operation() == operation);
        done.map(|logged| logged.call.clone()).collect()
    }

    /// A list in another order each time, as AWS gives no order.
    pub fn shuffled<T>(&mut self, mut list: Vec<T>) -> Vec<T> {
        self.reads += 1;
        let by = self.reads % list.len().max(1);
        list.rotate_left(by);
        if self.reads.is_multiple_of(2) {
            list.reverse();
        }
        list
    }
}
