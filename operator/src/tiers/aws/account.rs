//! As whom, and where, a platform's items at AWS are looked after.

use crate::{context::Settings, naming::PlatformKey, validate::Problem};
use crds::tiers::aws::{Aws, AwsEndpoints};

/// A role that platforms may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedRole {
    /// In this namespace; `*` for all.
    pub namespace: String,
    /// Its ARN; one that ends in `*` allows all that begin so.
    pub arn: String,
}

impl AllowedRole {
    /// From `NAMESPACE=ARN`.
    ///
    /// # Errors
    /// How to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((namespace, arn)) if !namespace.is_empty() && arn.starts_with("arn:") => {
                Ok(Self { namespace: namespace.to_owned(), arn: arn.to_owned() })
            }
            _ => Err(format!("--allowed-aws-role {text}: write it as NAMESPACE=ARN, with * for all namespaces")),
        }
    }

    fn allows(&self, namespace: &str, arn: &str) -> bool {
        let named = self.arn.strip_suffix('*').map_or(self.arn == arn, |begin| arn.starts_with(begin));
        (self.namespace == "*" || self.namespace == namespace) && named
    }
}

/// What the clients of a platform are made of.
pub fn settings(key: &PlatformKey, spec: &Aws) -> aws_edge::Settings {
    let AwsEndpoints { rds, elasticache, cloudfront, acm, sts } = spec.endpoints.clone().unwrap_or_default();
    aws_edge::Settings {
        endpoints: aws_edge::Endpoints { rds, elasticache, cloudfront, acm, sts },
        role: spec.role_arn.clone().map(|arn| aws_edge::Role {
            arn,
            external_id: spec.external_id.clone(),
            session: session(&[&key.namespace, &key.name]),
        }),
        ..aws_edge::Settings::new(&spec.region)
    }
}

/// The session's name in AWS's logs: 2 to 64 of letters, digits and `+=,.@-_`, by the model of STS.
pub fn session(whose: &[&str]) -> String {
    let mut name = format!("lp-{}", whose.join("-"));
    name.truncate(64);
    name
}

/// Why a role may not be named in a namespace.
pub fn refused(allowed: &[AllowedRole], namespace: &str, arn: &str) -> Option<String> {
    let is_allowed = allowed.iter().any(|role| role.allows(namespace, arn));
    (!is_allowed).then(|| {
        format!(
            "{arn}: the operator's settings do not allow it in namespace {namespace}: start it with \
             --allowed-aws-role={namespace}={arn}"
        )
    })
}

/// What of it the operator's settings do not allow.
pub fn check(key: &PlatformKey, spec: &Aws, settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    if settings.cluster_name == Settings::default().cluster_name {
        let problem =
            "the operator has no name of its cluster, by which what is at AWS is known: start it with --cluster-name";
        problems.push(Problem::new("spec.aws", problem));
    }
    if let Some(arn) = &spec.role_arn
        && let Some(problem) = refused(&settings.allowed_aws_roles, &key.namespace, arn)
    {
        problems.push(Problem::new("spec.aws.roleArn", problem));
    }
    let AwsEndpoints { rds, elasticache, cloudfront, acm, sts } = spec.endpoints.clone().unwrap_or_default();
    for (name, url) in
        [("rds", rds), ("elasticache", elasticache), ("cloudfront", cloudfront), ("acm", acm), ("sts", sts)]
    {
        let allowed = |url: &String| settings.allowed_aws_endpoints.iter().any(|begin| url.starts_with(begin));
        if let Some(url) = url.filter(|url| !allowed(url)) {
            let problem = format!(
                "{url}: the operator's settings do not allow it: start it with --allowed-aws-endpoint={url}, or remove it"
            );
            problems.push(Problem::new(format!("spec.aws.endpoints.{name}"), problem));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_and_endpoints_are_those_that_the_settings_allow() {
        let settings = Settings {
            allowed_aws_roles: ["team-a=arn:aws:iam::123456789012:role/a", "*=arn:aws:iam::123456789012:role/all/*"]
                .map(|text| AllowedRole::parse(text).unwrap())
                .into(),
            cluster_name: "blue".into(),
            allowed_aws_endpoints: vec!["https://vpce-1.example/".into()],
            ..Settings::default()
        };
        let of = |namespace: &str, role: Option<&str>, url: Option<&str>| {
            let endpoints = AwsEndpoints { rds: url.map(Into::into), ..AwsEndpoints::default() };
            let spec = Aws {
                region: "eu-central-1".into(),
                role_arn: role.map(Into::into),
                external_id: None,
                endpoints: Some(endpoints),
            };
            let key = PlatformKey { namespace: namespace.into(), name: "story".into() };
            check(&key, &spec, &settings).into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        let (a, all) = ("arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/all/x");
        let none: [&str; 0] = [];
        assert_eq!(of("team-a", Some(a), None), none);
        assert_eq!(of("team-b", Some(all), Some("https://vpce-1.example/rds")), none);
        assert_eq!(of("team-b", Some(a), None), ["spec.aws.roleArn"]);
        assert_eq!(of("team-a", Some("arn:aws:iam::123456789012:role/ab"), None), ["spec.aws.roleArn"]);
        assert_eq!(of("team-a", None, Some("https://evil.example/")), ["spec.aws.endpoints.rds"]);
        assert!(AllowedRole::parse("arn:aws:iam::123456789012:role/a").is_err());

        let url = || Some("https://evil.example/".to_owned());
        let endpoints = AwsEndpoints { rds: url(), elasticache: url(), cloudfront: url(), acm: url(), sts: url() };
        let spec = Aws { region: "eu-central-1".into(), endpoints: Some(endpoints), ..Aws::default() };
        let key = PlatformKey { namespace: "team-a".into(), name: "story".into() };
        let fields: Vec<_> = check(&key, &spec, &settings).into_iter().map(|problem| problem.field).collect();
        let all = ["rds", "elasticache", "cloudfront", "acm", "sts"].map(|name| format!("spec.aws.endpoints.{name}"));
        assert_eq!(fields, all);
    }
}
