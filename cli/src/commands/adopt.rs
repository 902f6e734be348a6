//! `lpctl adopt`: an item goes on with what a former platform of this name left at AWS. The word is `adopt: true` on the item, as
//! anybody may write it; what lpctl does beyond that is to find the item, to say what is there, and to ask.

use crate::{args::Global, cluster::Cluster, commands::psql::item, complete, exit::Exit, output};
use anyhow::{anyhow, bail};
use clap_complete::engine::ArgValueCompleter;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, ListParams, PostParams},
    core::{DynamicObject, TypeMeta},
};
use serde_json::Value;
use std::io::IsTerminal;

/// The lists of a platform that may have items at AWS, with the providers that are there.
const AT_AWS: [(&str, &str); 3] = [("databases", "rds"), ("caches", "elastiCache"), ("cdns", "cloudFront")];

/// Arguments of `adopt`.
#[derive(clap::Args, Debug)]
#[command(
    override_usage = "lpctl adopt [OPTIONS] [PLATFORM] <ITEM>",
    before_help = "Examples:
  lpctl adopt main            # database main goes on with the data that a former platform left
  lpctl adopt story edge --yes",
    after_help = "Until an item is adopted, what is there is left alone, nothing is made beside it, and its apps wait. Write `adopt: \
                  true` into the file that you apply, too: else the next apply may take it back.\n\n\
                  Exit status: 0 done, 1 not done, 2 it could not be told."
)]
pub struct Args {
    /// The database, cache or CDN; before it its platform, where several have such a one
    #[arg(required = true, num_args = 1..=2, value_name = "ITEM", add = ArgValueCompleter::new(complete::at_aws))]
    pub names: Vec<String>,

    /// Do it without a question
    #[arg(long)]
    pub yes: bool,
}

/// What is retained for an item.
#[derive(Debug, PartialEq, Eq)]
struct Retained {
    /// In which list of the spec.
    list: &'static str,
    provider: &'static str,
    index: usize,
    /// What is there, in the operator's words.
    message: String,
}

/// Runs the command. Without a consent nothing is adopted: [`Exit::Found`].
///
/// # Errors
/// When nothing is retained for the item, or the API server refuses.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let (platform, name) = item(&args.names);
    let cluster = Cluster::connect(global).await?;
    let resource = ApiResource::erase::<crds::LearningPlatform>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
    let platforms = match platform {
        // For its error, which knows what there is.
        Some(platform) => vec![api.get(&cluster.platform(platform).await?.name_any()).await],
        None => {
            let list = api.list(&ListParams::default()).await;
            list.map_err(|error| cluster.explain("platforms cannot be read", error))?
                .items
                .into_iter()
                .map(Ok)
                .collect()
        }
    };
    let mut found = Vec::new();
    for platform in platforms {
        let platform = platform.map_err(|error| cluster.explain("the platform cannot be read", error))?;
        found.extend(retained(&platform.data, name).into_iter().map(|retained| (platform.clone(), retained)));
    }
    let (mut platform, retained) = match (found.pop(), found.as_slice()) {
        (Some(only), []) => only,
        (Some((last, _)), others) => {
            let names: Vec<String> = others.iter().map(|(one, _)| one.name_any()).chain([last.name_any()]).collect();
            bail!(
                "{name} waits for its adoption in several places: write the platform before it: {}",
                names.join(" or ")
            )
        }
        (None, _) => {
            bail!("nothing that a former platform left waits for {name} to adopt it: `lpctl status` says how it is")
        }
    };
    output::tell(&format!("{} {name} of {}: {}", retained.list, platform.name_any(), retained.message));
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !args.yes && !output::consent(terminal, "Nothing was adopted")? {
        return Ok(Exit::Found);
    }
    adopt(&mut platform.data, &retained).ok_or_else(|| anyhow!("the item has changed meanwhile: try again"))?;
    // Items of a list may come without their type.
    platform.types = Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() });
    // With the version that was read: a change since then is a conflict.
    let params = PostParams { field_manager: Some("lpctl".into()), ..PostParams::default() };
    let sent = api.replace(&platform.name_any(), &params, &platform).await;
    sent.map_err(|error| cluster.explain("the item cannot be adopted", error))?;
    let Retained { list, provider, .. } = retained;
    output::tell(&format!("spec.{list}[{name}].{provider}.adopt is true: write it into the file that you apply, too"));
    Ok(Exit::Good)
}

/// What waits for its adoption by an item of this name.
fn retained(platform: &Value, name: &str) -> Vec<Retained> {
    let named = |items: &Value| items.as_array()?.iter().position(|item| item["name"] == name);
    let one = |(list, provider): (&'static str, &'static str)| {
        let index = named(&platform["spec"][list])?;
        platform["spec"][list][index].get(provider)?;
        let told = &platform["status"][list];
        let conditions = told[named(told)?]["conditions"].as_array()?;
        let condition = conditions.iter().find(|condition| condition["reason"] == "Retained")?;
        let message = condition["message"].as_str().unwrap_or_default().to_owned();
        Some(Retained { list, provider, index, message })
    };
    AT_AWS.into_iter().filter_map(one).collect()
}

/// Says the word; None where the item is not there.
fn adopt(platform: &mut Value, retained: &Retained) -> Option<()> {
    let provider = platform["spec"][retained.list].get_mut(retained.index)?.get_mut(retained.provider)?;
    provider.as_object_mut()?.insert("adopt".to_owned(), Value::Bool(true));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_retained_is_found_by_its_item_and_nothing_else_is_touched() {
        let waits = json!([{"type": "Ready", "status": "False", "reason": "Retained", "message": "lp-1 is there"}]);
        let mut platform = json!({
            "spec": {
                "databases": [{"name": "other", "inCluster": {}}, {"name": "main", "rds": {"port": 5433}}],
                "caches": [{"name": "main", "inCluster": {}}],
            },
            "status": {
                "databases": [{"name": "main", "conditions": waits}],
                "caches": [{"name": "main", "conditions": waits}],
            },
        });
        let found = retained(&platform, "main");
        let database = Retained { list: "databases", provider: "rds", index: 1, message: "lp-1 is there".into() };
        assert_eq!(found, [database], "a cache in the cluster is not at AWS");
        assert_eq!(retained(&platform, "other"), []);
        adopt(&mut platform, &found[0]).expect("it is there");
        assert_eq!(platform["spec"]["databases"][1], json!({"name": "main", "rds": {"port": 5433, "adopt": true}}));
        platform["status"]["databases"][0]["conditions"][0]["reason"] = json!("Available");
        assert_eq!(retained(&platform, "main"), []);
    }
}
