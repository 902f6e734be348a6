use super::*;
pub use crate::validate::Problem;
#[derive(Clone, Debug)]
pub struct ValidScaling;
pub fn validate(_: &crate::naming::AppKey, _: &crds::tiers::app::App, _: &crds::tiers::autoscaling::Autoscaling, _: Option<&crds::prometheus::Prometheus>, _: &crate::context::Settings) -> std::result::Result<ValidScaling, Vec<Problem>> { Ok(ValidScaling) }
pub struct Autoscaling;
#[derive(Default)]
pub struct Observed;
impl Tier for Autoscaling {
    const CONDITION: ConditionType = ConditionType::AutoscalingReady;
    type Observed = Observed;
    async fn observe(&self, _: &Context, _: &ValidPlatform, _: &Children) -> Result<Observed> { Ok(Observed) }
    fn plan(&self, _: &ValidPlatform, _: &Observed) -> Plan { vec![] }
    fn status(&self, _: &ValidPlatform, _: &Observed, _: &Children) -> TierStatus { TierStatus::default() }
}
