//! SIGKILL of the operator at any moment of scaling out and in.

use super::{SOON, Scene, app, behavior, by_rate, never_falls, never_rises, soak, with};
use learningplatform_tests::harness::Recorder;
use serde_json::json;
use std::time::{Duration, Instant};

const KILLS: usize = 20;
const LOW: i32 = 2;
const HIGH: i32 = 6;

/// A small generator (splitmix64): the same seed, the same moments.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `count` moments within `span`, in order.
    fn moments(&mut self, count: usize, span: Duration) -> Vec<Duration> {
        let span = u64::try_from(span.as_millis()).expect("milliseconds");
        let mut moments: Vec<_> = (0..count).map(|_| Duration::from_millis(self.next() % span)).collect();
        moments.sort();
        moments
    }
}

/// What must hold of an app that went from one count to the other since `start`.
fn check(record: &Recorder, start: Instant, up: bool, what: &str) {
    let (replicas, ready) = (record.replicas(start), record.ready(start));
    assert!(replicas.iter().all(|count| (LOW..=HIGH).contains(count)), "{what}: replicas {replicas:?}");
    let caps: Vec<i32> = record.values(start, |seen| Some(seen.bounds?.1)).into_iter().map(|(_, cap)| cap).collect();
    assert!(caps.iter().all(|cap| *cap <= HIGH), "{what}: caps {caps:?}");
    if up {
        assert!(never_falls(&replicas), "{what}: replicas {replicas:?}");
        assert!(never_falls(&ready), "{what}: ready {ready:?}");
    } else {
        assert!(never_rises(&replicas), "{what}: replicas {replicas:?}");
        assert!(ready.iter().all(|count| *count >= LOW), "{what}: ready {ready:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_twenty_moments_it_ends_at_the_right_count() {
    let seed = std::env::var("LP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(42);
    // One kill per change of the load in the long form, four in the short one.
    let each = if soak() { 1 } else { 4 };
    let mut random = Random(seed);
    let mut scene = Scene::start("kill").await;
    // Two apps in opposite directions, so that each kill meets a scale-out and a scale-in.
    let scaling = with(by_rate(1, 12), json!({"behavior": behavior((0, "Pods", 1, 2), (2, "Pods", 2, 3))}));
    let loads = |scene: &Scene, up: bool| {
        let worth = |count: i32| f64::from(count) - 0.5;
        scene.pods_worth("a", worth(if up { HIGH } else { LOW }));
        scene.pods_worth("b", worth(if up { LOW } else { HIGH }));
    };
    loads(&scene, false);
    scene.apply(&[app("a", scaling.clone()), app("b", scaling)]).await;
    let (a, b) = (scene.record("a").await, scene.record("b").await);
    a.until("the start", SOON, |seen| seen.settled_at(LOW)).await;
    b.until("the start", SOON, |seen| seen.settled_at(HIGH)).await;

    let mut up = false;
    for round in 0..KILLS / each {
        up = !up;
        let start = Instant::now();
        loads(&scene, up);
        for moment in random.moments(each, Duration::from_secs(12)) {
            tokio::time::sleep_until((start + moment).into()).await;
            scene.restart_operator();
        }
        let count = |up: bool| if up { HIGH } else { LOW };
        let what = format!("round {round} of seed {seed}");
        a.until(&what, SOON * 2, |seen| seen.settled_at(count(up))).await;
        b.until(&what, SOON * 2, |seen| seen.settled_at(count(!up))).await;
        check(&a, start, up, &what);
        check(&b, start, !up, &what);
    }
    scene.end().await;
}
