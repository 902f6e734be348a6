use super::*;
use serde_json::json;

fn now() -> Timestamp {
    "2026-12-01T12:00:00Z".parse().unwrap()
}

fn live() -> Explanation {
    serde_json::from_value(json!({
        "namespace": "learning", "platform": "story", "app": "web",
        "floor": 4, "cap": 20, "observed": 7, "ready": 7,
        "written": {"minReplicas": 4, "maxReplicas": 20},
        "sentence": "request rate is 320 requests/s: 4 pods at 100 each",
        "decision": {
            "at": "2026-12-01T11:59:58Z", "floor": 4, "cap": 20, "reason": "Demand",
            "signals": [{"name": "request rate", "unit": "requests/s", "state": "a trusted value", "value": 320.0, "raiseValue": 331.5, "age": 2000,
                "proposal": 4, "k": 1.0, "perPod": 100.0, "failure": "Healthy", "source": 0}],
            "latency": {"name": "latency p95", "state": "a trusted value", "value": 0.12, "budget": 0.2, "age": 2000, "k": 1.0, "overBudget": false, "onTrial": false},
            "stages": [{"name": "size", "before": 3, "after": 4, "why": "request rate needs 4 pods"}, {"name": "bound", "before": 4, "after": 4, "why": "within the cap"}],
            "metrics": {"status": true, "reason": "Available", "message": "all signals have values"},
            "findings": [],
            "heldBy": "the HPA's memory metric holds 7 pods: at 85 of a target of 80 it asks for 7, above the floor of 4",
            "wouldScaleIf": [{"signal": "request rate", "unit": "requests/s", "raisesAbove": 400.0, "lowersAt": 300.0}],
        },
        "decisions": [{"at": "2026-12-01T11:40:00Z", "floor": 4, "cap": 20, "reason": "request rate is 310 requests/s"}],
        "hold": {"floor": 4, "until": "2026-12-01T14:00:00Z", "reason": "exam", "by": "ann"},
        "pause": "None", "failure": null,
        "queries": [{"signal": "Demand(0) Long", "query": "sum(rate(http_requests_total{namespace=\"learning\"}[20s]))"}],
    }))
    .expect("the operator's answer")
}

#[test]
fn a_live_answer() {
    let mut view = live();
    view.source = Source::Live;
    view.next_schedule = Some(NextWindow {
        name: "exam-week".into(),
        open: false,
        start: "2026-12-07T06:30:00Z".parse().unwrap(),
        end: "2026-12-11T17:00:00Z".parse().unwrap(),
        asks: "at least 12 pods".into(),
    });
    let text = table(&view, &Style::PLAIN, now());
    assert!(text.contains("the HPA's memory metric holds 7 pods"), "{text}");
    insta::assert_snapshot!("live", text);
}

#[test]
fn a_signal_without_a_value_says_why() {
    let mut view = live();
    view.source = Source::Live;
    let signal = &mut view.decision.signals[0];
    (signal.value, signal.proposal, signal.state, signal.failure) =
        (None, None, "no series has ever matched".into(), "Failing".into());
    let text = table(&view, &Style::PLAIN, now());
    assert!(text.contains("! request rate no series has ever matched; 2 s old; failing"), "{text}");
}

#[test]
fn without_the_operator_status_and_hpa_tell() {
    let platform: LearningPlatform = serde_json::from_value(json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": "story", "namespace": "learning"},
        "spec": {"apps": [{"name": "web", "image": "i"}]},
        "status": {"apps": [{"name": "web", "replicas": {"desired": 7, "ready": 7, "updated": 7},
            "scaling": {"floor": 4, "cap": 20, "reason": "request rate is 320 requests/s",
                "stages": [{"name": "size", "before": 3, "after": 4, "why": "request rate needs 4 pods"}]}}]},
    }))
    .unwrap();
    let hpa: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "metadata": {"name": "story-web"},
        "spec": {"minReplicas": 4, "maxReplicas": 20, "scaleTargetRef": {"kind": "Deployment", "name": "story-web"}, "metrics": [
            {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}}}]},
        "status": {"currentReplicas": 7, "desiredReplicas": 7, "currentMetrics": [
            {"type": "Resource", "resource": {"name": "memory", "current": {"averageUtilization": 84, "averageValue": "1"}}}]},
    }))
    .unwrap();
    let mut view = Explanation::from_status(&platform, "web");
    view.hpa = Some(Hpa::of(&hpa));
    view.notes.push("the operator could not be asked, so this is from status: no operator runs".into());
    let text = table(&view, &Style::PLAIN, now());
    assert!(text.contains("the HPA's memory metric holds 7 pods"), "{text}");
    insta::assert_snapshot!("status", text);
}
