//! What can be said of CDNs by the spec alone: what works, and is probably not meant.

use super::{Category, Check, Topic, Verdict};
use aws::cloudfront::{Rule, Warning, lint};
use crds::LearningPlatform;
use kube::ResourceExt;
use operator::tiers::cdn::wish;

/// Every rule of the linter, and what is true where nothing breaks it.
const RULES: [(Rule, &str); 6] = [
    (Rule::PersonalPathShared, "keeps no answer that is one person's for others"),
    (Rule::AuthorizationOutsideKey, "keeps answers to Authorization apart"),
    (Rule::ServiceWorkerPinned, "lets service workers be replaced"),
    (Rule::MetricsExposed, "serves no metrics"),
    (Rule::HtmlNotInvalidated, "shows pages of a new rollout"),
    (Rule::OriginReachableDirectly, "is the only way to its origins"),
];

/// The checks of a platform's CDNs; none where it has none.
pub fn cdns(platform: &LearningPlatform) -> Option<Category> {
    let namespace = platform.namespace().unwrap_or_else(|| "default".to_owned());
    let name = platform.name_any();
    let edit = format!("kubectl -n {namespace} edit learningplatform {name}");
    let spec = &platform.spec;
    let checks = spec.cdns.iter().filter_map(|cdn| {
        let checks = match wish::offline(&cdn.name, cdn.cloud_front.as_ref()?, &spec.apps) {
            Ok(wished) => of_warnings(&cdn.name, &lint(&wished), &edit),
            Err(unfit) => {
                let verdict = Verdict::bad(unfit.to_string(), edit.as_str());
                vec![check(format!("CDN {} can be carried out", cdn.name), verdict)]
            }
        };
        Some(checks)
    });
    let checks: Vec<Check> = checks.flatten().collect();
    (!checks.is_empty()).then(|| Category { name: format!("CDNs of {namespace}/{name}"), checks, essential: false })
}

fn of_warnings(name: &str, warnings: &[Warning], edit: &str) -> Vec<Check> {
    let mut checks = Vec::new();
    for (rule, sentence) in RULES {
        let broken: Vec<&Warning> = warnings.iter().filter(|warning| warning.rule == rule).collect();
        let description = format!("CDN {name} {sentence}");
        if broken.is_empty() {
            checks.push(check(description.clone(), Verdict::Good(String::new())));
        }
        for Warning { field, message, remedy, .. } in broken {
            let what = format!("{}.{field}: {message}", wish::path(name));
            checks.push(check(description.clone(), Verdict::bad(what, format!("{edit}   # {remedy}"))).warning());
        }
    }
    checks
}

fn check(description: String, verdict: Verdict) -> Check {
    Check::new(description, Topic::Cdn, move || std::future::ready(verdict.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests;

    async fn found(text: &str) -> Vec<(String, Verdict)> {
        let platform = manifests::platforms(text).expect("YAML").remove(0);
        let mut found = Vec::new();
        for check in cdns(&platform).expect("it has a CDN").checks {
            assert_eq!(check.topic, Topic::Cdn);
            found.push((check.description.clone(), (check.run)().await));
        }
        found
    }

    const STORY: &str = include_str!("../../../examples/story.yaml");

    #[tokio::test]
    async fn a_platform_as_it_should_be_has_a_good_line_for_each_rule() {
        let found = found(STORY).await;
        assert_eq!(found.len(), RULES.len());
        for (description, verdict) in found {
            assert!(matches!(verdict, Verdict::Good(_)), "{description}: {verdict:?}");
        }
    }

    #[tokio::test]
    async fn each_mistake_is_told_with_its_field_and_what_mends_it() {
        for (before, after, description, field) in [
            (
                "path: /api/me/*",
                "path: /api/mine/*",
                "CDN edge keeps no answer that is one person's for others",
                "spec.cdns[edge].cloudFront.behaviors[/api/*]",
            ),
            (
                "cachePolicy: {name: public-api}",
                "cachePolicy: {name: public-api}\n            originRequestPolicy: {managed: AllViewer}",
                "CDN edge keeps answers to Authorization apart",
                "behaviors[/api/*]",
            ),
            (
                "- {path: /sw.js, origin: web, compress: true, cachePolicy: {managed: CachingDisabled}, browserTTL: 0s}",
                "- {path: /sw.js, origin: web, cachePolicy: {name: assets}}",
                "CDN edge lets service workers be replaced",
                "behaviors[/sw.js]",
            ),
            (
                "- {path: /metrics, origin: web, closed: true}",
                "- {path: /measures, origin: web, closed: true}",
                "CDN edge serves no metrics",
                "behaviors[*]",
            ),
            (
                "          cachePolicy: {managed: UseOriginCacheControlHeaders-QueryStrings}\n        invalidateAfter: [{app: web, paths: [/, \"/stories/*\"]}]",
                "          cachePolicy: {managed: CachingOptimized}",
                "CDN edge shows pages of a new rollout",
                "behaviors[*]",
            ),
            (
                "            headers: [{name: X-Origin-Verify, secret: {name: story-edge, key: verify}}]\n",
                "",
                "CDN edge is the only way to its origins",
                "origins[web]",
            ),
        ] {
            assert!(STORY.contains(before), "{before}");
            let found = found(&STORY.replace(before, after)).await;
            let bad: Vec<_> = found.iter().filter(|(_, verdict)| !matches!(verdict, Verdict::Good(_))).collect();
            let told = bad.iter().find(|(said, _)| said == description);
            let Some((_, Verdict::Bad(finding))) = told else { panic!("{after}: {description}: {bad:?}") };
            assert!(finding.what.contains(field), "{finding:?}");
            assert!(finding.fix.starts_with("kubectl -n learning edit learningplatform story   # "), "{finding:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_carried_out_is_an_error() {
        let found = found(&STORY.replace("managed: CachingDisabled", "managed: CachingForbidden")).await;
        assert_eq!(found.len(), 1);
        let (description, Verdict::Bad(finding)) = &found[0] else { panic!("{found:?}") };
        assert_eq!(description, "CDN edge can be carried out");
        assert!(finding.what.contains("CachingForbidden"), "{finding:?}");
    }

    #[test]
    fn a_platform_without_a_cdn_has_no_category() {
        let platform = manifests::platforms(STORY).expect("YAML").remove(0);
        let mut without = platform;
        without.spec.cdns.clear();
        assert!(cdns(&without).is_none());
    }
}
