//! Whether a floor comes down as the story guide's HPA does: by 10 % or one pod, once a minute.

use std::time::Duration;

/// The least time between two downward steps: the guide's minute, less what a look may take.
const PERIOD: Duration = Duration::from_secs(58);

/// The downward steps of a floor after its peak, as regular looks show them.
#[derive(Debug)]
pub struct Descent {
    peak: i32,
    reached: i32,
    last: Option<(Duration, i32)>,
    /// The last look before the newest step.
    before: Option<Duration>,
    steps: Vec<i32>,
}

impl Descent {
    /// Steps count once `peak` pods have been ready.
    pub fn after(peak: i32) -> Self {
        Self { peak, reached: 0, last: None, before: None, steps: Vec::new() }
    }

    /// Takes in a look at the floor and the ready pods.
    ///
    /// # Errors
    /// How a step broke the guide's behaviour.
    pub fn see(&mut self, at: Duration, floor: i32, ready: i32) -> Result<(), String> {
        self.reached = self.reached.max(ready);
        let Some((seen, last)) = self.last.replace((at, floor)) else { return Ok(()) };
        if floor >= last || self.reached < self.peak {
            return Ok(());
        }
        // Truncated, as the HPA does it: at least one pod.
        let allowed = last * 9 / 10;
        if floor < allowed {
            return Err(format!("the floor fell from {last} to {floor} at once, where 10 % allow {allowed}"));
        }
        // A step is seen at the next look: the first may have come right after the look before it.
        if let Some(apart) = self.before.replace(seen).map(|before| at.saturating_sub(before))
            && apart < PERIOD
        {
            return Err(format!("the floor fell twice within {} s: to {last}, then to {floor}", apart.as_secs()));
        }
        self.steps.push(floor);
        Ok(())
    }

    /// Most pods that were ready.
    pub fn reached(&self) -> i32 {
        self.reached
    }

    /// The floor after each step.
    pub fn steps(&self) -> &[i32] {
        &self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every five seconds, each a floor and the ready pods.
    fn seen(looks: impl IntoIterator<Item = (i32, i32)>) -> Result<Vec<i32>, String> {
        let mut descent = Descent::after(8);
        for (at, (floor, ready)) in (0..).step_by(5).zip(looks) {
            descent.see(Duration::from_secs(at), floor, ready)?;
        }
        Ok(descent.steps)
    }

    fn minutes(floors: &[i32]) -> Vec<(i32, i32)> {
        floors.iter().flat_map(|floor| [(*floor, 8); 12]).collect()
    }

    #[test]
    fn a_step_a_minute_is_the_guides_behaviour() {
        assert_eq!(seen(minutes(&[8, 7, 6])), Ok(vec![7, 6]));
        assert_eq!(seen(minutes(&[20, 18, 16])), Ok(vec![18, 16]));
    }

    #[test]
    fn what_falls_before_the_peak_is_no_step_down() {
        assert_eq!(seen([(4, 3), (3, 3), (8, 5), (8, 8), (7, 8)]), Ok(vec![7]));
    }

    #[test]
    fn a_step_that_is_too_large_or_too_soon_is_none_of_the_guides() {
        assert!(seen(minutes(&[8, 6])).is_err());
        assert!(seen(minutes(&[20, 17])).is_err());
        // As far apart as looks can tell: 55 s show a minute, 50 s do not.
        let steps = |looks| [vec![(8, 8)], vec![(7, 8); looks], vec![(6, 8)]].concat();
        assert_eq!(seen(steps(11)), Ok(vec![7, 6]));
        assert!(seen(steps(10)).is_err());
    }
}
