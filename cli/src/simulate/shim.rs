#![allow(missing_docs, dead_code, clippy::all)]
pub mod args {
    pub fn set_tunable(_: &mut decide::Tunables, _: &str) -> Result<(), String> { Ok(()) }
}
pub mod tiers { pub mod autoscaling {
    #[path = "/work/main/operator/src/tiers/autoscaling/behavior.rs"] pub mod behavior;
    #[path = "/work/main/operator/src/tiers/autoscaling/calendar.rs"] pub mod calendar;
    #[path = "/work/main/operator/src/tiers/autoscaling/policy.rs"] pub mod policy;
    #[path = "/work/main/operator/src/tiers/autoscaling/quantity.rs"] pub mod quantity;
    pub use policy::Calendars;
    pub struct Bounds { pub min: u32, pub max: u32, pub disable_up: bool, pub disable_down: bool }
    impl Bounds {
        pub fn initial(a: &crds::tiers::autoscaling::Autoscaling) -> Self { Self { min: (a.min_replicas as u32).max(1), max: a.max_replicas as u32, disable_up: false, disable_down: false } }
        pub fn of(_: &crds::tiers::autoscaling::Autoscaling, w: &decide::Write, _: u32, _: u32) -> Self { let min = w.floor.max(1); Self { min, max: w.cap.max(min), disable_up: w.disable_scale_up, disable_down: w.disable_scale_down } }
    }
} }
