//! The command for each reason: it mends the cause, or shows where it is.

use crate::output::Mark;
use crds::status::Reason;

/// Which object is meant.
pub struct Place<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Platform.
    pub platform: &'a str,
    /// Item, where it is about one; of a store the name that its objects are labelled with.
    pub app: Option<&'a str>,
    /// Whether the item is a cache or a database.
    pub is_store: bool,
}

/// The command for a reason of a condition.
pub fn remedy(reason: &str, place: &Place<'_>) -> String {
    let Place { namespace, platform, app, is_store } = *place;
    let reason = Reason::ALL.iter().find(|r| r.as_str() == reason);
    let edit = format!("kubectl -n {namespace} edit learningplatform {platform}");
    let pods = match app {
        Some(app) => format!("-l app.kubernetes.io/instance={platform},app.kubernetes.io/component={app}"),
        None => format!("-l app.kubernetes.io/instance={platform}"),
    };
    let children =
        format!("kubectl -n {namespace} get deployments,services,horizontalpodautoscalers,poddisruptionbudgets");
    let app = app.unwrap_or("APP");
    match reason {
        Some(Reason::CrashLoop) if is_store => format!("kubectl -n {namespace} logs {pods} --prefix --previous"),
        Some(Reason::PodsRefused) if is_store => format!("kubectl -n {namespace} describe statefulsets {pods}"),
        Some(Reason::DataMissing) => {
            format!(
                "kubectl -n {namespace} describe persistentvolumeclaims {pods}   # find the volume that has the data"
            )
        }
        Some(Reason::DataWouldBeLeftBehind) => format!("{edit}   # set renamedFrom, put the item back, or abandonData"),
        Some(Reason::CrashLoop) => format!("kubectl -n {namespace} logs deployment/{platform}-{app} --previous"),
        Some(Reason::ImagePull | Reason::ContainerConfig | Reason::Unschedulable) => {
            format!("kubectl -n {namespace} describe pods {pods}")
        }
        Some(Reason::JobFailed) => {
            format!(
                "kubectl -n {namespace} get jobs -l app.kubernetes.io/instance={platform}   # then kubectl logs job/NAME"
            )
        }
        Some(Reason::PodsRefused) => format!("kubectl -n {namespace} describe replicasets {pods}"),
        Some(Reason::RolloutStuck) => format!("kubectl -n {namespace} describe deployment {platform}-{app}"),
        Some(Reason::NameConflict) => format!("{children}   # rename the app, or remove the foreign object"),
        Some(Reason::AutoscalerConflict) => {
            format!("kubectl get horizontalpodautoscalers,scaledobjects -n {namespace}   # remove the other autoscaler")
        }
        Some(Reason::SeriesNeverSeen | Reason::NoSeries) => {
            format!(
                "lpctl explain {app} --platform {platform} -n {namespace}   # compare the query with the metric's real name"
            )
        }
        Some(
            Reason::AmbiguousResult
            | Reason::NotANumber
            | Reason::StaleSample
            | Reason::BudgetNotResolvable
            | Reason::LatencyNotHelpedByPods,
        ) => {
            format!("lpctl explain {app} --platform {platform} -n {namespace}")
        }
        Some(Reason::SourceUnavailable | Reason::SourceMisconfigured) => {
            format!("kubectl -n {namespace} get learningplatform {platform} -o jsonpath={{.spec.prometheus}}")
        }
        Some(
            Reason::InvalidSpec | Reason::ImmutableField | Reason::Rejected | Reason::ScheduleConflict | Reason::Paused,
        ) => edit,
        Some(Reason::Suspended) => {
            format!("kubectl -n {namespace} annotate learningplatform {platform} {}-", crds::SUSPEND_ANNOTATION)
        }
        Some(Reason::PermissionDenied) => "lpctl install   # or grant the operator what the message names".to_owned(),
        _ => format!("kubectl -n {namespace} describe learningplatform {platform}"),
    }
}

/// Whether a reason means work under way rather than trouble.
pub(crate) fn under_way(mark: Mark) -> bool {
    matches!(mark, Mark::Good | Mark::Progress | Mark::Off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_command() {
        for reason in Reason::ALL {
            let command = remedy(
                reason.as_str(),
                &Place { namespace: "shop", platform: "story", app: Some("web"), is_store: false },
            );
            assert!(command.starts_with("kubectl ") || command.starts_with("lpctl "), "{reason}: {command}");
            let command = remedy(
                reason.as_str(),
                &Place { namespace: "shop", platform: "story", app: Some("main"), is_store: true },
            );
            assert!(!command.contains("deployment/") && !command.contains("replicasets"), "{reason}: {command}");
        }
        let place = Place { namespace: "shop", platform: "story", app: None, is_store: false };
        assert_eq!(remedy("FromTheFuture", &place), "kubectl -n shop describe learningplatform story");
    }
}
