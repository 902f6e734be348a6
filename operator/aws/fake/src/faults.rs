//! What goes wrong, and when.

use aws::Error;
use std::collections::BTreeMap;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused: too many. Not carried out.
    Throttled,
    /// An error of the server's. Not carried out.
    Server,
    /// The connection breaks before the request is there. Not carried out.
    Unreachable,
    /// Carried out; the answer is lost.
    Lost,
    /// Refused, because the resource is said to change. Not carried out.
    Conflict,
    /// We may not, for a moment. Not carried out.
    Denied,
    /// A read shows what was there before the last change. A call that changes something is carried out.
    Stale,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Throttled, Self::Server, Self::Unreachable, Self::Lost, Self::Conflict, Self::Denied, Self::Stale];

    /// The error that the caller gets.
    pub(crate) fn error(self, operation: &'static str) -> Option<Error> {
        let coded = |code: &str, status, message: &str| {
            Some(Error { operation, code: Some(code.to_owned()), status: Some(status), message: message.to_owned() })
        };
        let broken = |message: &str| Some(Error { operation, code: None, status: None, message: message.to_owned() });
        match self {
            Self::Throttled => coded("Throttling", 400, "Rate exceeded"),
            Self::Server => coded("InternalFailure", 500, "An internal error has occurred"),
            Self::Unreachable => broken("connection reset by peer"),
            Self::Lost => broken("connection closed before message completed"),
            Self::Conflict => coded("InvalidDBInstanceState", 400, "Instance is not in available state"),
            Self::Denied => coded("AccessDenied", 403, "not authorized to perform the action"),
            Self::Stale => None,
        }
    }

    /// Whether the request is carried out all the same.
    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Lost | Self::Stale)
    }
}

/// Faults by the number of the request, from 0.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    at: BTreeMap<u64, Fault>,
    every: Option<(u64, Fault)>,
    requests: u64,
}

impl Faults {
    /// The request with this number fails.
    pub fn fail_at(&mut self, request: u64, fault: Fault) {
        self.at.insert(request, fault);
    }

    /// One request of so many fails, from the next on.
    pub fn fail_every(&mut self, every: Option<(u64, Fault)>) {
        self.every = every;
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Counts a request, and says what goes wrong with it.
    pub(crate) fn next(&mut self) -> Option<Fault> {
        let number = self.requests;
        self.requests += 1;
        let every = self.every.filter(|(every, _)| number.is_multiple_of(*every)).map(|(_, fault)| fault);
        self.at.remove(&number).or(every)
    }
}
