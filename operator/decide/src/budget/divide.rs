//! The arithmetic of sharing.

use super::Consumer;

/// The cap of each consumer within `limit`.
pub(super) fn divide(limit: u32, consumers: &[Consumer]) -> Vec<u32> {
    let limit = u64::from(limit);
    let targets = fill(limit, &consumers.iter().collect::<Vec<_>>());
    // What pods still use above their share is not there for others yet: their caps rise as those go. Nobody loses what it
    // has within its share, so those who have more than the room allows are counted with what they have, too.
    let (mut caps, mut room) = (targets.clone(), targets);
    let mut rest: Vec<usize> = (0..consumers.len()).collect();
    let mut used = 0_u64;
    while let (held, free) = rest.iter().partition::<Vec<usize>, _>(|index| consumers[**index].now > room[**index])
        && !held.is_empty()
    {
        used = used.saturating_add(sum(held.iter().map(|index| consumers[*index].cost(consumers[*index].now))));
        let free_consumers: Vec<&Consumer> = free.iter().map(|index| &consumers[*index]).collect();
        for (index, pods) in free.iter().zip(fill(limit.saturating_sub(used), &free_consumers)) {
            room[*index] = pods;
        }
        for index in held {
            caps[index] = caps[index].min(consumers[index].now);
        }
        rest = free;
    }
    for index in rest {
        caps[index] = caps[index].min(room[index]);
    }
    caps
}

/// Shares `limit` by weight above each minimum, rounded down to pods. What one does not need goes to the others.
fn fill(limit: u64, consumers: &[&Consumer]) -> Vec<u32> {
    let least: Vec<u64> = consumers.iter().map(|consumer| consumer.cost(consumer.least())).collect();
    let Some(mut rest) = limit.checked_sub(sum(least.iter().copied())) else {
        return consumers.iter().map(|consumer| consumer.least()).collect();
    };
    let need = |index: usize| consumers[index].cost(consumers[index].most()).saturating_sub(least[index]);
    let weight = |index: usize| u64::from(consumers[index].weight.max(1));
    let mut open: Vec<usize> = (0..consumers.len()).collect();
    let part = loop {
        let weights = sum(open.iter().map(|index| weight(*index))).max(1);
        let part = |index: usize| (u128::from(rest) * u128::from(weight(index)) / u128::from(weights)) as u64;
        let (satisfied, wanting): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|index| need(**index) <= part(**index));
        if satisfied.is_empty() {
            break (0..consumers.len())
                .map(|index| if open.contains(&index) { part(index) } else { need(index) })
                .collect();
        }
        rest -= sum(satisfied.iter().map(|index| need(*index)));
        open = wanting;
    };
    let part: Vec<u64> = part;
    consumers
        .iter()
        .enumerate()
        .map(|(index, consumer)| consumer.pods_for(least[index].saturating_add(part[index])))
        .collect()
}

pub(super) fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

impl Consumer {
    pub(super) fn least(&self) -> u32 {
        self.min.max(1)
    }

    pub(super) fn most(&self) -> u32 {
        self.max.max(self.least())
    }

    /// Surge and terminating pods beside `pods`, and those of jobs.
    pub(super) fn extra(&self, pods: u32) -> u64 {
        self.surge.of(pods).saturating_add(self.terminating.of(pods)).saturating_add(self.jobs.into())
    }

    /// The connections that `pods` may have open.
    pub(super) fn cost(&self, pods: u32) -> u64 {
        u64::from(pods).saturating_add(self.extra(pods)).saturating_mul(u64::from(self.per_pod))
    }

    /// The most pods of the spec that cost no more than `connections`.
    fn pods_for(&self, connections: u64) -> u32 {
        let (mut low, mut high) = (self.least(), self.most());
        while low < high {
            let middle = high - (high - low) / 2;
            if self.cost(middle) <= connections { low = middle } else { high = middle - 1 }
        }
        low
    }
}
