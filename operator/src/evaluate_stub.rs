use crate::{context::Context, naming::*, validate::ValidPlatform};
#[derive(Default)]
pub struct ScalingStore;
pub struct ScalingView { pub floor: i32 }
impl ScalingStore { pub fn get(&self, _: &AppKey) -> Option<ScalingView> { None } }
#[derive(Clone, Default)]
pub struct Registry;
impl Registry { pub fn sync(&self, _: &ValidPlatform) {} pub fn remove(&self, _: &PlatformKey) {} }
pub async fn run(_: std::sync::Arc<Context>, _: tokio::sync::mpsc::Sender<PlatformKey>, stop: tokio_util::sync::CancellationToken) { stop.cancelled().await }
pub fn explain(_: &Context, _: &AppKey) -> Option<serde_json::Value> { None }
