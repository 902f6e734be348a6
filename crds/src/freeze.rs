//! `spec.freezes[]`: times in which nothing is changed that can wait.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A time in which nothing is changed that can wait, such as exams: rollouts of apps that run wait for its end. Scaling,
/// first rollouts and the repair of an app that is broken go on. The annotation `learningplatform.dev/urgent` with its name
/// lifts it; of several, their names with commas between them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.start + (size(self.start) == 16 ? ':00' : '') < self.end + (size(self.end) == 16 ? ':00' : '')").message(
    "freezes[].end must be after start"
))]
pub struct Freeze {
    /// Name of the freeze.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Begin, local time: `2026-12-07T07:30`.
    #[schemars(length(max = 19), regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$"))]
    #[x_kube(validation = Rule::new("timestamp(self + (size(self) == 16 ? ':00Z' : 'Z')) > timestamp('1970-01-01T00:00:00Z')").message(
        "freezes[].start is no date and time: write it as 2026-12-07T07:30"
    ))]
    pub start: String,
    /// End (the first moment outside it), local time.
    #[schemars(length(max = 19), regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$"))]
    #[x_kube(validation = Rule::new("timestamp(self + (size(self) == 16 ? ':00Z' : 'Z')) > timestamp('1970-01-01T00:00:00Z')").message(
        "freezes[].end is no date and time: write it as 2026-12-11T18:00"
    ))]
    pub end: String,
    /// IANA name of the zone of the local times: `Europe/Berlin`. A local time that a clock change skips moves to the first
    /// moment after the gap; of one that comes twice, the longer freeze counts.
    #[schemars(length(max = 64), regex(pattern = "^([A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*)?$"))]
    #[x_kube(validation = Rule::new("self != '' && self != 'Local' && timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0").message(
        "freezes[].timeZone is not in the IANA database: write it as Europe/Berlin or UTC"
    ))]
    pub time_zone: String,
}
