//! The HPA's `behavior`, between its own type and the decision core's.

use decide::{Behavior, Duration, PolicyType, RuleSpec, ScalingPolicy, ScalingRules, SelectPolicy};
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};

/// The effective behaviour of an app: what its spec says, and the defaults where that is silent.
pub fn effective(spec: Option<&HorizontalPodAutoscalerBehavior>) -> Behavior {
    let rules = |of: fn(&HorizontalPodAutoscalerBehavior) -> &Option<HPAScalingRules>| {
        spec.and_then(|behavior| of(behavior).as_ref()).map(rule_spec)
    };
    Behavior::effective(rules(|b| &b.scale_up), rules(|b| &b.scale_down))
}

fn rule_spec(rules: &HPAScalingRules) -> RuleSpec {
    RuleSpec {
        stabilization_window: rules.stabilization_window_seconds.map(seconds),
        select: rules.select_policy.as_deref().map(|select| match select {
            "Min" => SelectPolicy::Min,
            "Disabled" => SelectPolicy::Disabled,
            _ => SelectPolicy::Max,
        }),
        policies: rules.policies.iter().flatten().map(scaling_policy).collect(),
    }
}

fn scaling_policy(policy: &HPAScalingPolicy) -> ScalingPolicy {
    let (value, period) = (u32::try_from(policy.value).unwrap_or(0), seconds(policy.period_seconds));
    match policy.type_.as_str() {
        "Percent" => ScalingPolicy::percent(value, period),
        _ => ScalingPolicy::pods(value, period),
    }
}

fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// The effective behaviour as the HPA takes it, every field written out. `tolerance`, which the core does not use, is
/// taken over from the spec; a paused direction is `Disabled`.
pub fn written(
    spec: Option<&HorizontalPodAutoscalerBehavior>,
    disable_up: bool,
    disable_down: bool,
) -> HorizontalPodAutoscalerBehavior {
    let behavior = effective(spec);
    let direction = |rules: &ScalingRules, from: Option<&HPAScalingRules>, disabled: bool| HPAScalingRules {
        policies: Some(rules.policies.iter().map(hpa_policy).collect()),
        select_policy: Some(select_policy(if disabled { SelectPolicy::Disabled } else { rules.select }).to_owned()),
        stabilization_window_seconds: Some(whole_seconds(rules.stabilization_window)),
        tolerance: from.and_then(|from| from.tolerance.clone()),
    };
    HorizontalPodAutoscalerBehavior {
        scale_up: Some(direction(&behavior.up, spec.and_then(|b| b.scale_up.as_ref()), disable_up)),
        scale_down: Some(direction(&behavior.down, spec.and_then(|b| b.scale_down.as_ref()), disable_down)),
    }
}

fn hpa_policy(policy: &ScalingPolicy) -> HPAScalingPolicy {
    HPAScalingPolicy {
        type_: match policy.kind {
            PolicyType::Pods => "Pods",
            PolicyType::Percent => "Percent",
        }
        .to_owned(),
        value: i32::try_from(policy.value).unwrap_or(i32::MAX),
        period_seconds: whole_seconds(policy.period),
    }
}

fn select_policy(select: SelectPolicy) -> &'static str {
    match select {
        SelectPolicy::Max => "Max",
        SelectPolicy::Min => "Min",
        SelectPolicy::Disabled => "Disabled",
    }
}

fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis() / 1000).unwrap_or(i32::MAX)
}
