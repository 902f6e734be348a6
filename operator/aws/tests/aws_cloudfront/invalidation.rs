//! After an app's rollout the edges forget what it has made old: once, and within the quota.

use crate::{
    driver::{Operator, has, text},
    wishes::{set, ten_k, wish},
};
use aws_fake::{Fault, cloudfront::Durations};
use learningplatform_aws::{Kind, cloudfront::Memory};
use std::time::Duration;

async fn made() -> Operator {
    let mut operator = Operator::new(wish(ten_k()));
    operator.wish.rollouts.insert("web".into(), "1".into());
    operator.synced().await;
    assert!(operator.cloudfront.invalidations().is_empty(), "a new distribution has nothing to forget");
    operator
}

fn rollout(operator: &mut Operator, app: &str, revision: &str) {
    operator.wish.rollouts.insert(app.into(), revision.into());
}

#[tokio::test]
async fn each_rollout_is_invalidated_once_and_those_of_one_moment_together() {
    let mut operator = made().await;
    rollout(&mut operator, "web", "2");
    for _ in 0..5 {
        operator.synced().await;
    }
    let made = operator.cloudfront.invalidations();
    assert_eq!(made.iter().map(|one| one.paths.clone()).collect::<Vec<_>>(), [set(&["/courses/*"])]);
    rollout(&mut operator, "web", "3");
    rollout(&mut operator, "api", "7");
    // Of this app no path is named.
    rollout(&mut operator, "worker", "1");
    operator.synced().await;
    let made = operator.cloudfront.invalidations();
    assert_eq!(made.len(), 2);
    assert_eq!(made[1].paths, set(&["/api/v1/*", "/courses/*"]));
}

#[tokio::test]
async fn a_lost_answer_and_a_lost_memory_invalidate_nothing_twice() {
    for forgets in [false, true] {
        let mut operator = made().await;
        rollout(&mut operator, "web", "2");
        let requests = operator.cloudfront.requests();
        // After the two lists and the distribution.
        operator.cloudfront.faults(|faults| faults.fail_at(requests + 3, Fault::Lost));
        operator.round().await;
        assert_eq!(operator.cloudfront.invalidations().len(), 1, "it was done");
        operator.clock.advance(Duration::from_secs(10));
        if forgets {
            operator.memory = text(&Memory::default());
        } else {
            // What comes meanwhile is another invalidation, and does not change the one that may have been made.
            rollout(&mut operator, "api", "7");
        }
        operator.synced().await;
        let made = operator.cloudfront.invalidations();
        assert_eq!(made.len(), if forgets { 1 } else { 2 }, "{made:?}");
        assert_eq!(made[0].paths, set(&["/courses/*"]));
        if !forgets {
            assert_eq!(made[1].paths, set(&["/api/v1/*"]), "not those of the first once more");
        }
    }
}

#[tokio::test]
async fn paths_are_collapsed_and_stay_within_the_quota() {
    let many: Vec<String> = (0..20).map(|number| format!("/course-{number}/*")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (paths, expected) in [
        (vec!["/a/*", "/a/b", "/a/b/*", "/c"], vec!["/a/*", "/c"]),
        (vec!["/*", "/a", "/b/*"], vec!["/*"]),
        (vec!["/a", "/ab", "/a*"], vec!["/a*"]),
        (many[..15].to_vec(), many[..15].to_vec()),
        (many.clone(), vec!["/*"]),
    ] {
        let mut operator = made().await;
        operator.edit(|wish| drop(wish.spec.invalidate.insert("web".into(), set(&paths))));
        rollout(&mut operator, "web", "2");
        operator.synced().await;
        assert_eq!(operator.cloudfront.invalidations()[0].paths, set(&expected));
    }
}

#[tokio::test]
async fn where_too_many_are_in_progress_the_next_waits_and_nobody_is_alarmed() {
    let mut operator = made().await;
    let deploying = Duration::from_secs(20);
    operator.cloudfront.set_durations(Durations { deploying, invalidating: Duration::from_secs(900) });
    let paths: Vec<String> = (0..10).map(|number| format!("/course-{number}/*")).collect();
    operator.edit(|wish| drop(wish.spec.invalidate.insert("web".into(), paths.iter().cloned().collect())));
    rollout(&mut operator, "web", "2");
    operator.synced().await;
    rollout(&mut operator, "web", "3");
    let step = operator.synced().await;
    assert!(!has(&step, Kind::Refused) && !has(&step, Kind::Unavailable), "{:?}", step.conditions);
    assert_eq!(operator.cloudfront.invalidations().len(), 2);
    let refused = operator.cloudfront.log().into_iter().filter_map(|one| one.refused).collect::<Vec<_>>();
    assert!(
        (1..=20).contains(&refused.len()) && refused.iter().all(|code| code == "TooManyInvalidationsInProgress"),
        "{refused:?}"
    );
}
