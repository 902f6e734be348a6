//! Moving slots with their keys. Cut anywhere, it is done again from its first step: what is done already says so.

use crate::{
    act::{all_well, cluster_of, node_id, primaries},
    client::{Edge, Link, command, find},
    error::{Error, Result},
    parse,
    seen::{NodeId, Seen},
    slots::Slots,
};
use redis::{Cmd, Value};
use std::{
    cmp::min,
    time::{Duration, Instant},
};

/// Slots that are open at once, and keys in them: the more, the fewer turns; but a client of an open slot may have to ask twice, and
/// commands on several keys may have to be tried again.
const OPEN_SLOTS: usize = 16;
const OPEN_KEYS: u64 = 2_000;

/// Slots that change their owner in one go. Of each the new owner tells every server in a message of its own, which costs each of them
/// some 50 us, one after another; and what they have heard of they save, once for all that came together.
const TAKEN_SLOTS: usize = 4;

/// A server does nothing else while it sends keys, and works off all commands that it has from one client before it turns to the next:
/// so they are sent in commands that each take less than this, and none before the last is answered. `redis-cli` sends ten.
const FLIGHT: Duration = Duration::from_millis(1);
const FLIGHT_KEYS: (usize, usize) = (1, 16);

/// Clients have the servers for themselves for this part of the time that moving takes, in naps that are no shorter than the timer's
/// tick: shorter ones would all become as long as it.
const REST: f64 = 0.7;
const NAP: Duration = Duration::from_millis(1);

/// For one answer, and for what one server waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);
const TRANSFER: Duration = Duration::from_secs(5);

/// Slots of one job where servers move them by themselves: what has to be done anew where one fails.
const JOB_SLOTS: u32 = 4_096;
const POLL: Duration = Duration::from_millis(20);

impl Edge {
    pub(crate) async fn move_keys(
        &self,
        seen: &Seen,
        from: &str,
        to: &str,
        slots: &Slots,
        budget: Duration,
    ) -> Result<()> {
        let until = Instant::now() + budget;
        knows_epoch(seen, to, from)?;
        let target = find(seen, to)?.address.ok_or_else(|| Error::Changed(format!("{to} has no address any more")))?;
        let mut others = Vec::new();
        for pod in primaries(seen).into_iter().filter(|pod| pod != from && pod != to) {
            others.extend(self.connect(find(seen, &pod)?).await);
        }
        let mut mover = Mover {
            source: self.connect_for(find(seen, from)?, PATIENCE).await?,
            target: self.connect_for(find(seen, to)?, PATIENCE).await?,
            source_id: node_id(seen, from)?,
            target_id: node_id(seen, to)?,
            host: target.ip().to_string(),
            port: target.port(),
            others,
            flight: FLIGHT_KEYS.1,
            owed: Duration::ZERO,
        };
        let slots: Vec<u16> = slots.iter().collect();
        let mut left = slots.as_slice();
        while !left.is_empty() && Instant::now() < until {
            let keys = mover.count(left.get(..min(OPEN_SLOTS, left.len())).unwrap_or(left)).await?;
            let mut sum = 0;
            let fits = keys.iter().take_while(|keys| {
                sum += **keys;
                sum <= OPEN_KEYS
            });
            let (batch, rest) = left.split_at(fits.count().clamp(1, left.len()));
            mover.carry(batch).await?;
            left = rest;
        }
        Ok(())
    }

    pub(crate) async fn move_whole(
        &self,
        seen: &Seen,
        from: &str,
        to: &str,
        slots: &Slots,
        budget: Duration,
    ) -> Result<()> {
        let until = Instant::now() + budget;
        let mut source = self.connect(find(seen, from)?).await?;
        let target = node_id(seen, to)?;
        let mut left = slots.clone();
        while !left.is_empty() && Instant::now() < until {
            let chunk = left.lowest(JOB_SLOTS);
            let mut migrate = command(&["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE"]);
            for (first, last) in chunk.ranges() {
                migrate.arg(first).arg(last);
            }
            migrate.arg("NODE").arg(target.as_str());
            source.ask("CLUSTER MIGRATESLOTS", &migrate).await?;
            if !await_jobs(&mut source, until).await? {
                return Ok(());
            }
            left = left.without(&chunk);
        }
        Ok(())
    }
}

/// A target that has not heard of its source's epoch takes slots with one that is no higher, and loses them again with their keys.
fn knows_epoch(seen: &Seen, target: &str, source: &str) -> Result<()> {
    let id = node_id(seen, source)?;
    let epoch = |pod: &str| Some(cluster_of(seen, pod)?.peer(&id)?.epoch);
    if epoch(target) == epoch(source) {
        return Ok(());
    }
    Err(Error::Changed(format!("{target} has not heard of the newest epoch of {source} yet")))
}

/// Waits for a server's own moves; whether they ended before the time was up. They go on without us.
async fn await_jobs(source: &mut Link, until: Instant) -> Result<bool> {
    loop {
        let list = source.ask("CLUSTER GETSLOTMIGRATIONS", &command(&["CLUSTER", "GETSLOTMIGRATIONS"])).await?;
        let jobs: Vec<_> = parse::jobs(&list).into_iter().filter(|job| job.export).collect();
        if !jobs.iter().any(crate::Job::running) {
            // The newest is first.
            return match jobs.first() {
                Some(job) if job.state != "success" => Err(Error::Answer {
                    pod: source.pod.clone(),
                    command: "CLUSTER MIGRATESLOTS",
                    answer: format!("{}: {}", job.state, job.message),
                }),
                _ => Ok(true),
            };
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        tokio::time::sleep(POLL).await;
    }
}

struct Mover {
    source: Link,
    target: Link,
    source_id: NodeId,
    target_id: NodeId,
    host: String,
    port: u16,
    others: Vec<Link>,
    /// Keys that are sent in one command.
    flight: usize,
    /// Rest that clients have not had yet.
    owed: Duration,
}

impl Mover {
    async fn carry(&mut self, slots: &[u16]) -> Result<()> {
        let importing = self.target.set_slots(slots, &["IMPORTING", self.source_id.as_str()]).await?;
        let mut open = Vec::new();
        for (slot, answer) in slots.iter().zip(importing) {
            match answer {
                Ok(_) => open.push(*slot),
                // Cut after the target had taken it: what is left is to tell the others.
                Err(Error::Answer { answer, .. }) if answer.contains("already the owner") => {}
                Err(error) => return Err(error),
            }
        }
        all_well(self.source.set_slots(&open, &["MIGRATING", self.target_id.as_str()]).await?)?;
        for some in slots.chunks(TAKEN_SLOTS) {
            let begun = Instant::now();
            self.carry_keys(some.iter().copied().filter(|slot| open.contains(slot)).collect()).await?;
            self.take(some).await?;
            self.rest(begun.elapsed()).await;
        }
        Ok(())
    }

    /// Makes the target the owner of slots that hold no keys at the source any more.
    async fn take(&mut self, slots: &[u16]) -> Result<()> {
        // The target first: a slot that only its old owner takes to be the other's would have no owner if we stopped here.
        let node = ["NODE", self.target_id.as_str()];
        all_well(self.target.set_slots(slots, &node).await?)?;
        // The others hear of it anyhow, but clients that ask them are sent the right way at once.
        let told = self.others.iter_mut().map(|other| other.set_slots(slots, &node));
        let (left, told) =
            futures::future::join(self.source.set_slots(slots, &node), futures::future::join_all(told)).await;
        all_well(left?)?;
        for told in told {
            if let Err(error) = told.and_then(all_well) {
                tracing::debug!(%error, "one primary hears of moved slots by gossip only");
            }
        }
        Ok(())
    }

    async fn rest(&mut self, worked: Duration) {
        self.owed += worked.mul_f64(REST);
        if self.owed >= NAP {
            let begun = Instant::now();
            tokio::time::sleep(self.owed).await;
            self.owed = self.owed.saturating_sub(begun.elapsed());
        }
    }

    /// All keys of slots that no new key can get into any more.
    async fn carry_keys(&mut self, mut slots: Vec<u16>) -> Result<()> {
        while !slots.is_empty() {
            let list = |slot: &u16| {
                let mut list = command(&["CLUSTER", "GETKEYSINSLOT"]);
                list.arg(*slot).arg(self.flight);
                list
            };
            let lists = slots.iter().map(list).collect();
            let lists = self.source.ask_all("CLUSTER GETKEYSINSLOT", lists).await?;
            let mut left = Vec::new();
            for (slot, keys) in slots.into_iter().zip(lists) {
                if let Value::Array(keys) = keys?
                    && !keys.is_empty()
                {
                    self.fly(keys).await?;
                    left.push(slot);
                }
            }
            slots = left;
        }
        Ok(())
    }

    async fn fly(&mut self, keys: Vec<Value>) -> Result<()> {
        let sent = keys.len();
        let migrate = self.migrate(keys);
        let begun = Instant::now();
        self.source.ask("MIGRATE", &migrate).await?;
        let took = begun.elapsed();
        if took > FLIGHT {
            self.flight = (sent / 2).max(FLIGHT_KEYS.0);
        } else if took < FLIGHT / 2 && sent == self.flight {
            self.flight = (self.flight * 2).min(FLIGHT_KEYS.1);
        }
        Ok(())
    }

    /// `REPLACE`, for a transfer that was cut may have left a copy, and the owner's is the newer one.
    fn migrate(&self, keys: Vec<Value>) -> Cmd {
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg(&self.host).arg(self.port).arg("").arg(0).arg(TRANSFER.as_millis() as u64);
        migrate.arg("REPLACE").arg("AUTH2").arg("default").arg(self.target.password.reveal()).arg("KEYS");
        for key in keys {
            if let Value::BulkString(key) = key {
                migrate.arg(key);
            }
        }
        migrate
    }

    async fn count(&mut self, slots: &[u16]) -> Result<Vec<u64>> {
        let count = |slot: &u16| {
            let mut count = command(&["CLUSTER", "COUNTKEYSINSLOT"]);
            count.arg(*slot);
            count
        };
        let counts = self.source.ask_all("CLUSTER COUNTKEYSINSLOT", slots.iter().map(count).collect()).await?;
        counts.into_iter().map(|count| Ok(parse::text(&count?).parse().unwrap_or(0))).collect()
    }
}
