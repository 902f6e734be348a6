//! What a decision asks to be written, and how an HPA carries it.

use serde::Serialize;

use crate::policy::Pause;

/// What the HPA, and the Deployment at zero, must carry after this tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    /// `minReplicas` of the HPA; it takes no 0, so write at least 1 there and the 0 through `scale`.
    pub floor: u32,
    /// `maxReplicas` of the HPA; at least 1 there, too.
    pub cap: u32,
    /// Write `selectPolicy: Disabled` for scaling up, because of a pause.
    pub disable_scale_up: bool,
    /// Write `selectPolicy: Disabled` for scaling down, because of a pause.
    pub disable_scale_down: bool,
    /// Write the Deployment's scale to this: an HPA neither leaves zero nor goes there.
    pub scale: Option<u32>,
}

/// What an HPA carries of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// `minReplicas`, at least 1: zero goes through the scale subresource.
    pub min: u32,
    /// `maxReplicas`, at least `min`.
    pub max: u32,
    /// Scaling up is paused.
    pub disable_up: bool,
    /// Scaling down is paused.
    pub disable_down: bool,
}

/// How many pods an app has, and what its HPA looks at besides its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    /// Whether the HPA has a metric of the user's, such as cpu.
    pub own_metric: bool,
    /// The floor before this decision.
    pub floor: u32,
    /// The count of pods that is wanted now.
    pub pods: u32,
}

impl Bounds {
    /// Those of an app that has never been decided on: its spec's.
    pub fn initial(min: u32, max: u32, pause: Pause) -> Self {
        let min = min.max(1);
        Self { min, max: max.max(min), disable_up: false, disable_down: false }.paused_as(pause)
    }

    /// The same with a floor of at least the pods that `running`, so that taking over a Deployment moves nothing.
    pub fn raised_to(self, running: u32) -> Self {
        Self { min: self.min.max(running.min(self.max)), ..self }
    }

    /// The same, paused so.
    pub fn paused_as(self, pause: Pause) -> Self {
        let disable_up = matches!(pause, Pause::ScaleOut | Pause::All);
        let disable_down = matches!(pause, Pause::ScaleIn | Pause::All);
        Self { disable_up, disable_down, ..self }
    }

    /// Those of a decision, where the HPA has the bounds `before`, if any.
    ///
    /// An app without a metric of its own for the HPA follows its floor by bounds alone: `max` is the floor too, because
    /// between its bounds an HPA without a working metrics API never lowers. The floor obeys `behavior` already, so no
    /// step is too large; only where more pods run than the floor asked for (the spec had a cpu target until now, say)
    /// `max` stays at the cap until the HPA has lowered them by `behavior`. Where the bounds have been the floor alone,
    /// more pods than that are an HPA that has not looked yet: it looks every 15 s, and a floor that falls faster would
    /// otherwise leave it behind for good.
    pub fn after(before: Option<Self>, write: &Write, running: Running) -> Self {
        let min = write.floor.max(1);
        let followed = before.is_some_and(|before| before.min == before.max);
        let by_bounds_alone = !running.own_metric && (followed || running.pods <= running.floor.max(min));
        Self {
            min,
            max: if by_bounds_alone { min } else { write.cap.max(min) },
            disable_up: write.disable_scale_up,
            disable_down: write.disable_scale_down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(floor: u32) -> Write {
        Write { floor, cap: 20, disable_scale_up: false, disable_scale_down: true, scale: None }
    }

    fn bounds(min: u32, max: u32) -> Bounds {
        Bounds { min, max, disable_up: false, disable_down: false }
    }

    #[test]
    fn without_a_metric_of_its_own_an_app_follows_its_floor_by_bounds_alone() {
        // own metric, before, floor written before, pods, floor of the decision, then min and max
        let table = [
            (false, None, 4, 4, 5, (5, 5), "raised"),
            (false, None, 5, 5, 4, (4, 4), "lowered"),
            (false, None, 4, 12, 4, (4, 20), "more pods than the floor asked for are left to the HPA's behavior"),
            (false, Some(bounds(4, 20)), 4, 12, 4, (4, 20), "and stay so while it lowers them"),
            (false, Some(bounds(6, 6)), 5, 6, 4, (4, 4), "an HPA that has not looked yet is not left behind"),
            (false, None, 0, 0, 0, (1, 1), "an HPA takes no zero"),
            (true, None, 4, 4, 5, (5, 20), "cpu may raise further"),
            (true, Some(bounds(4, 4)), 4, 4, 25, (25, 25), "a cap below the floor gives way"),
        ];
        for (own_metric, before, floor, pods, decided, wanted, why) in table {
            let found = Bounds::after(before, &write(decided), Running { own_metric, floor, pods });
            assert_eq!((found.min, found.max), wanted, "{why}");
            assert_eq!((found.disable_up, found.disable_down), (false, true), "a pause passes through");
        }
    }

    #[test]
    fn the_first_bounds_are_the_specs() {
        assert_eq!(Bounds::initial(0, 0, Pause::None), bounds(1, 1));
        assert_eq!(Bounds::initial(3, 20, Pause::None), bounds(3, 20));
        for (pause, up, down) in
            [(Pause::ScaleOut, true, false), (Pause::ScaleIn, false, true), (Pause::All, true, true)]
        {
            let paused = Bounds::initial(3, 20, pause);
            assert_eq!((paused.disable_up, paused.disable_down), (up, down), "{pause:?}");
            assert_eq!(paused.paused_as(Pause::None), bounds(3, 20), "{pause:?} ends");
        }
        let raised = |running| bounds(3, 20).raised_to(running).min;
        assert_eq!([raised(2), raised(7), raised(30)], [3, 7, 20], "taking over moves nothing within the spec");
    }
}
