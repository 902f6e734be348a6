//! `lpctl hold`: a floor by hand that ends by itself. It stands in an annotation, so a GitOps tool that applies the spec
//! meanwhile does not undo it.

use crate::{
    args::Global,
    cluster::{Cluster, Item},
    complete,
    exit::Exit,
    output::{self, Format},
};
use anyhow::{Context, bail};
use clap_complete::engine::ArgValueCompleter;
use crds::{HOLD_ANNOTATION_PREFIX, LearningPlatform, status::Hold};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde::Serialize;
use std::str::FromStr;

/// Arguments of `hold`.
#[derive(clap::Args, Debug)]
#[command(before_help = "Examples:
  lpctl hold web --floor 30 --for 2h --reason \"final exam\"
  lpctl hold web --platform story --floor 12 --until 2026-12-11T18:00:00Z --reason exams
  lpctl hold web --release")]
pub struct Args {
    /// The app
    #[arg(add = ArgValueCompleter::new(complete::apps))]
    pub app: String,

    /// The platform, where several have such an app
    #[arg(long, add = ArgValueCompleter::new(complete::platforms))]
    pub platform: Option<String>,

    /// Fewest pods meanwhile
    #[arg(long, value_name = "N", required_unless_present = "release", value_parser = clap::value_parser!(i32).range(0..=10_000))]
    pub floor: Option<i32>,

    /// For how long: 30m, 2h, 1h30m
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, required_unless_present_any = ["release", "until"])]
    pub duration: Option<SignedDuration>,

    /// Until when, in place of --for: 2026-12-11T18:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    pub until: Option<Timestamp>,

    /// Why; shown to everybody who asks
    #[arg(long, required_unless_present = "release", value_parser = reason)]
    pub reason: Option<String>,

    /// End the hold now
    #[arg(long, conflicts_with_all = ["floor", "duration", "until", "reason"])]
    pub release: bool,

    /// Ask the server, but write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Form of the result
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Result {
    namespace: String,
    platform: String,
    app: String,
    /// `held`, `released` or `unchanged`.
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Hold>,
    dry_run: bool,
}

/// A hold is renewed by a command that is run again; under this difference of its end in seconds that changes nothing,
const SAME_END: i64 = 60;
/// as long as this share of the time that is asked for is left, in percent.
const LEFT: i64 = 90;

/// Runs the command.
///
/// # Errors
/// When the app cannot be held, or the API server refuses.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let cluster = Cluster::connect(global).await?;
    let platform = cluster.platform_with(args.platform.as_deref(), Item::App, &args.app).await?;
    let now = Timestamp::now();
    let wanted = if args.release { None } else { Some(wanted(args, now, who(&cluster).await)?) };
    if let Some(hold) = &wanted {
        warn_or_refuse(&platform, &args.app, hold)?;
    }
    let key = format!("{HOLD_ANNOTATION_PREFIX}{}", args.app);
    let present = platform.metadata.annotations.as_ref().and_then(|a| a.get(&key));
    let name = platform.metadata.name.clone().unwrap_or_default();
    let namespace = platform.metadata.namespace.clone().unwrap_or_default();
    let (change, hold) = change(present.map(String::as_str), wanted, args.until.is_some(), now);
    if change != "unchanged" {
        let value = hold.as_ref().map(serde_json::to_string).transpose().context("the hold cannot be written")?;
        let patch = serde_json::json!({"metadata": {"annotations": {key: value}}});
        let params =
            PatchParams { dry_run: args.dry_run, field_manager: Some("lpctl".into()), ..PatchParams::default() };
        let api: Api<LearningPlatform> = Api::namespaced(cluster.client.clone(), &namespace);
        let sent = api.patch_metadata(&name, &params, &Patch::Merge(&patch)).await;
        sent.map_err(|e| cluster.explain(&format!("platform {name} cannot be annotated"), e))?;
    }
    let result = Result { namespace, platform: name, app: args.app.clone(), change, hold, dry_run: args.dry_run };
    output::emit(&output::formatted(args.output, &result, |r| sentence(r, now))?)?;
    Ok(Exit::Good)
}

fn wanted(args: &Args, now: Timestamp, by: String) -> anyhow::Result<Hold> {
    let until = match (args.until, args.duration) {
        (Some(until), _) => until,
        (None, duration) => {
            now.checked_add(duration.unwrap_or_default()).context("--for reaches beyond the calendar")?
        }
    };
    if until <= now {
        bail!("--until {until} is past: give a time in the future, or --for 2h");
    }
    let until = Timestamp::from_second(until.as_second()).unwrap_or(until).to_string();
    Ok(Hold { floor: args.floor.unwrap_or_default(), until, reason: args.reason.clone().unwrap_or_default(), by })
}

/// What a hold could not do is said before it is written.
fn warn_or_refuse(platform: &LearningPlatform, app: &str, hold: &Hold) -> anyhow::Result<()> {
    let Some(spec) = platform.spec.apps.iter().find(|a| a.name == app) else { return Ok(()) };
    let Some(autoscaling) = &spec.autoscaling else {
        bail!("app {app} has a fixed number of pods, which a hold does not change: set apps[].replicas");
    };
    if hold.floor > autoscaling.max_replicas {
        output::tell(&format!(
            "note: maxReplicas is {0}, so {0} pods are kept, not {1}; raise maxReplicas for more",
            autoscaling.max_replicas, hold.floor
        ));
    }
    Ok(())
}

/// What has to be done, and the hold that stands then: the present one where it is as good as the one that is wanted. An
/// `exact` end was given as a time; another one was counted from `now`, so it moves whenever the command is run again.
fn change(present: Option<&str>, wanted: Option<Hold>, exact: bool, now: Timestamp) -> (&'static str, Option<Hold>) {
    let Some(wanted) = wanted else {
        return (if present.is_some() { "released" } else { "unchanged" }, None);
    };
    let old = present.and_then(|text| serde_json::from_str::<Hold>(text).ok());
    let same = old.filter(|old| {
        let (Ok(ends), Ok(wanted_end)) = (Timestamp::from_str(&old.until), Timestamp::from_str(&wanted.until)) else {
            return false;
        };
        let (left, wanted_left) = (seconds(now, ends), seconds(now, wanted_end));
        let near = if exact {
            ends == wanted_end
        } else {
            (left - wanted_left).abs() < SAME_END && left * 100 >= wanted_left * LEFT
        };
        left > 0 && near && (old.floor, &old.reason, &old.by) == (wanted.floor, &wanted.reason, &wanted.by)
    });
    match same {
        Some(old) => ("unchanged", Some(old)),
        None => ("held", Some(wanted)),
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs()
}

fn sentence(result: &Result, now: Timestamp) -> String {
    let Result { namespace, platform, app, change, hold, dry_run } = result;
    let dry = if *dry_run { " (dry run)" } else { "" };
    match hold {
        Some(hold) => {
            let until = Timestamp::from_str(&hold.until).unwrap_or(now);
            let left = output::age(now, until);
            format!(
                "{namespace}/{platform} app {app} {change}{dry}: at least {} until {} (for {left}): {}\n",
                output::pods(hold.floor),
                hold.until,
                hold.reason
            )
        }
        None if *change == "released" => format!("{namespace}/{platform} app {app} released{dry}\n"),
        None => format!("{namespace}/{platform} app {app} unchanged: there is no hold\n"),
    }
}

/// Who asks, as the API server knows them.
async fn who(cluster: &Cluster) -> String {
    use k8s_openapi::api::authentication::v1::SelfSubjectReview;
    let api: Api<SelfSubjectReview> = Api::all(cluster.client.clone());
    let review = api.create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let name = review.ok().and_then(|r| r.status?.user_info?.username);
    name.or_else(|| std::env::var("USER").ok()).unwrap_or_default()
}

fn duration(text: &str) -> std::result::Result<SignedDuration, String> {
    let parsed = kube::core::Duration::from_str(text).map_err(|_| "write it as 30m, 2h or 1h30m".to_owned())?;
    if parsed.is_negative() || std::time::Duration::from(parsed).is_zero() {
        return Err("must be above 0".into());
    }
    SignedDuration::try_from(std::time::Duration::from(parsed)).map_err(|_| "is too long".into())
}

fn reason(text: &str) -> std::result::Result<String, String> {
    match text.trim() {
        "" => Err("say why, in a few words".into()),
        trimmed if trimmed.chars().count() > 256 => Err("at most 256 characters".into()),
        trimmed => Ok(trimmed.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(floor: i32, until: &str) -> Hold {
        Hold { floor, until: until.into(), reason: "exam".into(), by: "ann".into() }
    }

    #[test]
    fn a_second_time_is_unchanged() {
        let now = Timestamp::from_str("2026-12-01T08:00:00Z").unwrap();
        let held = hold(30, "2026-12-01T10:00:00Z");
        let text = serde_json::to_string(&held).unwrap();
        for (present, wanted, exact, change_is) in [
            (Some(text.as_str()), Some(hold(30, "2026-12-01T10:00:30Z")), false, "unchanged"),
            (Some(text.as_str()), Some(hold(30, "2026-12-01T10:02:00Z")), false, "held"),
            (Some(text.as_str()), Some(hold(31, "2026-12-01T10:00:00Z")), false, "held"),
            (Some(text.as_str()), Some(hold(30, "2026-12-01T10:00:30Z")), true, "held"),
            (Some(text.as_str()), Some(hold(30, "2026-12-01T10:00:00Z")), true, "unchanged"),
            (Some(text.as_str()), Some(hold(30, "2026-12-01T11:00:00+01:00")), true, "unchanged"),
            (Some("no json"), Some(held.clone()), false, "held"),
            (None, Some(held.clone()), false, "held"),
            (Some(text.as_str()), None, false, "released"),
            (None, None, false, "unchanged"),
        ] {
            let stands = match change_is {
                "unchanged" => present.map(|_| held.clone()),
                _ => wanted.clone(),
            };
            assert_eq!(change(present, wanted.clone(), exact, now), (change_is, stands), "{wanted:?}");
        }
    }

    /// What is left of the present hold counts, not how far apart the ends are.
    #[test]
    fn a_hold_that_ends_before_long_is_renewed() {
        let now = Timestamp::from_str("2026-12-01T08:00:00Z").unwrap();
        let ending = |seconds: i64| hold(5, &(now + SignedDuration::from_secs(seconds)).to_string());
        for (left, wanted, change_is) in [
            (-20, 30, "held"),
            (0, 30, "held"),
            (1, 30, "held"),
            (26, 30, "held"),
            (27, 30, "unchanged"),
            (30, 30, "unchanged"),
            (59, 30, "unchanged"),
            (90, 30, "held"),
            (300, 359, "held"),
            (7141, 7200, "unchanged"),
            (7140, 7200, "held"),
        ] {
            let present = serde_json::to_string(&ending(left)).unwrap();
            let (change, _) = change(Some(&present), Some(ending(wanted)), false, now);
            assert_eq!(change, change_is, "{left} s left, {wanted} s wanted");
        }
        let past = serde_json::to_string(&hold(5, "soon")).unwrap();
        assert_eq!(change(Some(&past), Some(ending(30)), false, now).0, "held");
    }

    #[test]
    fn an_end_in_the_past_is_refused() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let args = |until: Option<i64>, seconds| Args {
            app: "web".into(),
            platform: None,
            floor: Some(3),
            duration: Some(SignedDuration::from_secs(seconds)),
            until: until.map(|s| Timestamp::from_second(s).unwrap()),
            reason: Some("r".into()),
            release: false,
            dry_run: false,
            output: Format::Table,
        };
        assert!(wanted(&args(Some(999_999), 0), now, String::new()).unwrap_err().to_string().contains("is past"));
        assert_eq!(wanted(&args(None, 7200), now, "me".into()).unwrap().until, "1970-01-12T15:46:40Z");
    }

    #[test]
    fn durations_are_positive() {
        assert_eq!(duration("1h30m"), Ok(SignedDuration::from_secs(5400)));
        for bad in ["0s", "-1h", "2", "two"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_done_is_said_with_its_end() {
        let now = Timestamp::from_str("2026-12-01T08:00:00Z").unwrap();
        let mut result = Result {
            namespace: "learning".into(),
            platform: "story".into(),
            app: "web".into(),
            change: "held",
            hold: Some(hold(30, "2026-12-01T10:00:00Z")),
            dry_run: false,
        };
        assert_eq!(
            sentence(&result, now),
            "learning/story app web held: at least 30 pods until 2026-12-01T10:00:00Z (for 2h): exam\n"
        );
        (result.hold, result.change) = (None, "released");
        assert_eq!(sentence(&result, now), "learning/story app web released\n");
    }
}
