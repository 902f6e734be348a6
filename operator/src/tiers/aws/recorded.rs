//! What is kept of an item at AWS from round to round, in its record: what a call may have done is written down before it is sent.
//! It is all that its deletion needs, so that neither a changed nor an invalid spec is in its way.

use crate::tiers::store::record::{self, Record};
use crds::tiers::aws::{Aws, AwsDeletionPolicy, AwsMode};
use serde::{Serialize, de::DeserializeOwned};

/// Key of the record: the account and the region, as JSON. They are for good: elsewhere there are other data.
const ACCOUNT: &str = "AWS_ACCOUNT";
/// Key of the record: how far the operator goes.
const MODE: &str = "AWS_MODE";
/// Key of the record: what becomes of the data.
const DELETION: &str = "AWS_DELETION_POLICY";
/// Key of the record: what the plan remembers, as JSON.
const MEMORY: &str = "AWS_MEMORY";

/// What is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<M> {
    /// Where it is.
    pub account: Aws,
    /// How far the operator goes.
    pub mode: AwsMode,
    /// What becomes of the data.
    pub deletion: AwsDeletionPolicy,
    /// What the plan remembers.
    pub memory: M,
}

impl<M: Serialize + DeserializeOwned> Recorded<M> {
    /// From a record.
    ///
    /// # Errors
    /// Which key cannot be read. Then nothing is to be done: what was done is not known.
    pub fn of(record: &Record) -> Result<Self, String> {
        fn read<T: DeserializeOwned>(record: &Record, key: &str) -> Result<T, String> {
            let text = record.get(key).ok_or_else(|| format!("its key {key} is missing"))?;
            serde_json::from_str(text).map_err(|error| format!("its key {key} cannot be read: {error}"))
        }
        Ok(Self {
            account: read(record, ACCOUNT)?,
            mode: read(record, MODE)?,
            deletion: read(record, DELETION)?,
            memory: read(record, MEMORY)?,
        })
    }

    /// Into a record, whose other keys stay.
    ///
    /// # Errors
    /// Something of it has no form in JSON: a defect.
    pub fn write(&self, record: &mut Record, runner: &str) -> Result<(), serde_json::Error> {
        record.insert(record::RUNNER.to_owned(), runner.to_owned());
        record.insert(ACCOUNT.to_owned(), serde_json::to_string(&self.account)?);
        record.insert(MODE.to_owned(), serde_json::to_string(&self.mode)?);
        record.insert(DELETION.to_owned(), serde_json::to_string(&self.deletion)?);
        record.insert(MEMORY.to_owned(), serde_json::to_string(&self.memory)?);
        Ok(())
    }
}
