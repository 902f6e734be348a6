//! `lpctl iam-policy`: the least that the operator's role has to be allowed at AWS.

use crate::{exit::Exit, output};
use aws::{
    Mode,
    iam::{self, Grant, Policy, Scope, policy},
};
use clap::ValueEnum;

/// Arguments of `iam-policy`.
#[derive(clap::Args, Debug)]
#[command(
    before_help = "Examples:
  lpctl iam-policy rds --cluster-name blue --account 123456789012 --region eu-central-1
  lpctl iam-policy cloudfront --cluster-name blue --account 123456789012 > cloudfront.json
  lpctl iam-policy rds --mode observe --cluster-name blue --account 123456789012 --region eu-central-1",
    after_help = "What changes something is bound to the tags and names of this cluster's operator. Attach one policy for each \
                  service that platforms use to the operator's role, or to the role that platforms name (aws.roleArn); in that \
                  case the operator's own needs sts:AssumeRole on it.\n\n\
                  Not in a policy: iam:CreateServiceLinkedRole for an account's first use of a service, what a customer's key of \
                  KMS asks for in its own policy, and what was adopted under a name that does not begin with `lp-`."
)]
pub struct Args {
    /// What platforms use
    #[arg(value_enum, value_name = "FEATURE")]
    pub feature: Feature,

    /// How far the operator may go; what publishes a plan only reads, as what observes does
    #[arg(long, value_enum, default_value_t)]
    pub mode: Extent,

    /// The operator's --cluster-name
    #[arg(long, value_name = "NAME")]
    pub cluster_name: String,

    /// Number of the account
    #[arg(long, value_name = "NUMBER", value_parser = account)]
    pub account: String,

    /// Region of databases and caches; distributions have none
    #[arg(long, value_name = "REGION", required_if_eq_any([("feature", "rds"), ("feature", "elasticache")]))]
    pub region: Option<String>,

    /// Partition of AWS: aws, aws-cn or aws-us-gov
    #[arg(long, value_name = "NAME", default_value = "aws", value_parser = ["aws", "aws-cn", "aws-us-gov"])]
    pub partition: String,
}

/// What platforms use of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Feature {
    /// Databases at RDS
    Rds,
    /// Caches at ElastiCache
    Elasticache,
    /// Distributions of their own at CloudFront
    Cloudfront,
    /// Behaviours in distributions of others at CloudFront
    CloudfrontAttach,
}

/// How far the operator may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Extent {
    /// It looks, and publishes plans
    Observe,
    /// It carries them out
    #[default]
    Apply,
}

fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("an account's number has 12 digits".to_owned())
    }
}

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    output::emit(&format!("{}\n", serde_json::to_string_pretty(&of(args))?))?;
    Ok(Exit::Good)
}

fn of(args: &Args) -> Policy {
    let tables: &[&[Grant]] = match args.feature {
        Feature::Rds => &[iam::RDS],
        Feature::Elasticache => &[iam::ELASTICACHE],
        Feature::Cloudfront => &[iam::CLOUDFRONT_OWN, iam::CLOUDFRONT_COMPANIONS, iam::CLOUDFRONT_CERTIFICATES],
        Feature::CloudfrontAttach => &[iam::CLOUDFRONT_ATTACHED, iam::CLOUDFRONT_COMPANIONS],
    };
    let mode = match args.mode {
        Extent::Observe => Mode::Observe,
        Extent::Apply => Mode::Apply,
    };
    let scope = Scope {
        partition: args.partition.clone(),
        account: args.account.clone(),
        region: args.region.clone().unwrap_or_else(|| "*".to_owned()),
        cluster: args.cluster_name.clone(),
    };
    policy(tables.iter().copied().flatten(), mode, &scope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &str) -> Result<Args, String> {
        let words = std::iter::once("lpctl").chain(line.split(' '));
        Line::try_parse_from(words).map(|line| line.args).map_err(|error| error.to_string())
    }

    #[test]
    fn each_feature_has_the_policy_of_its_calls_in_the_users_account() {
        for (feature, service, changes) in [
            ("rds --region eu-central-1", "rds", "rds:CreateDBInstance"),
            ("elasticache --region eu-central-1", "elasticache", "elasticache:CreateReplicationGroup"),
            ("cloudfront", "cloudfront", "cloudfront:CreateDistribution"),
            ("cloudfront-attach", "cloudfront", "cloudfront:UpdateDistribution"),
        ] {
            let args = parsed(&format!("{feature} --cluster-name blue --account 123456789012")).unwrap();
            let text = serde_json::to_string(&of(&args)).unwrap();
            let region = if service == "cloudfront" { "" } else { "eu-central-1" };
            assert!(text.contains(&format!("arn:aws:{service}:{region}:123456789012:")), "{text}");
            assert!(text.contains(changes), "{text}");
            let observed = of(&Args { mode: Extent::Observe, ..args });
            assert!(!serde_json::to_string(&observed).unwrap().contains(changes));
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (line, word) in [
            ("rds --cluster-name blue --account 123456789012", "--region"),
            ("rds --cluster-name blue --account 12 --region eu-central-1", "12 digits"),
            ("rds --account 123456789012 --region eu-central-1", "--cluster-name"),
            ("s3 --cluster-name blue --account 123456789012", "elasticache"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
    }
}
