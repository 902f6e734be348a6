//! Certificates of ACM that distributions name: what was seen of one, and what follows from it. Nothing is changed at ACM.

use crate::{Class, Error};
use jiff::{SignedDuration, Timestamp};

/// How long before its end a certificate that ACM does not renew is spoken of.
pub const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A certificate, as `DescribeCertificate` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// `Status`: `PENDING_VALIDATION`, `ISSUED`, `EXPIRED`, `INACTIVE`, `REVOKED`, `FAILED` or `VALIDATION_TIMED_OUT`.
    pub status: String,
    /// `NotAfter`: its end.
    pub not_after: Option<Timestamp>,
    /// `SubjectAlternativeNames`: the names that it covers, of which one may be a wildcard of one label.
    pub names: Vec<String>,
    /// `FailureReason`, `RevocationReason` of one that is revoked, or `RenewalStatusReason` of one that is being renewed.
    pub why: Option<String>,
    /// ACM renews it: it is not imported, and `RenewalEligibility` is `ELIGIBLE`.
    pub renewed: bool,
    /// `RenewalStatus`, once ACM has begun to renew it: `PENDING_AUTO_RENEWAL`, `PENDING_VALIDATION`, `SUCCESS` or `FAILED`.
    pub renewal: Option<String>,
    /// What DNS has to show so that it is issued or renewed, and is not known to.
    pub records: Vec<Record>,
}

/// A record of DNS, by `ResourceRecord` of `DomainValidationOptions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `Name`.
    pub name: String,
    /// `Type`.
    pub kind: String,
    /// `Value`.
    pub value: String,
}

/// What was answered about a certificate: None where there is none of the ARN.
pub type Answer = Result<Option<Certificate>, Error>;

/// What is to be said of a certificate, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is issued, covers every alias, and does not end soon without a successor.
    Good(String),
    /// It may be used, and something is to be mended, which the words say.
    Doubtful(String),
    /// It is not issued: CloudFront refuses what names it. With what mends it.
    NotIssued(String),
}

impl State {
    /// In words.
    pub fn words(&self) -> &str {
        let (Self::Good(words) | Self::Doubtful(words) | Self::NotIssued(words)) = self;
        words
    }
}

/// Whether an answer stays true for long: the certificate is issued, or ACM may not be asked.
pub fn lasts(answer: &Answer, now: Timestamp) -> bool {
    match answer {
        Ok(certificate) => certificate.as_ref().is_some_and(|one| one.is_issued(now)),
        Err(error) => error.class() == Class::Permission,
    }
}

impl Certificate {
    /// It is issued and has not ended.
    pub fn is_issued(&self, now: Timestamp) -> bool {
        self.status == "ISSUED" && self.not_after.is_none_or(|end| end > now)
    }

    /// It covers this name. A wildcard stands for one label: the first one.
    pub fn covers(&self, name: &str) -> bool {
        let same = |one: &String| match (one.strip_prefix("*."), name.split_once('.')) {
            _ if one.eq_ignore_ascii_case(name) => true,
            (Some(domain), Some((label, rest))) => !label.is_empty() && domain.eq_ignore_ascii_case(rest),
            _ => false,
        };
        self.names.iter().any(same)
    }
}

/// What follows from what was answered, for a distribution of these aliases.
pub fn state<'a>(answer: &Answer, aliases: impl IntoIterator<Item = &'a String>, now: Timestamp) -> State {
    let one = match answer {
        Ok(Some(one)) => one,
        Ok(None) => return State::NotIssued("there is none of this ARN: name one that is in us-east-1".to_owned()),
        // It holds nothing up: CloudFront itself says what it does not take.
        Err(error) if error.class() == Class::Permission => {
            let words = "its state is not known: allow the operator acm:DescribeCertificate on it";
            return State::Doubtful(format!("{words} ({error})"));
        }
        Err(error) => return State::Doubtful(format!("its state is not known: {error}")),
    };
    if !one.is_issued(now) {
        return State::NotIssued(unissued(one));
    }
    let bare: Vec<&str> = aliases.into_iter().map(String::as_str).filter(|alias| !one.covers(alias)).collect();
    if !bare.is_empty() {
        let (bare, names) = (bare.join(", "), one.names.join(", "));
        return State::Doubtful(format!(
            "it covers {names}, and not {bare}: name a certificate that does, or remove them from aliases"
        ));
    }
    let Some(end) = one.not_after else { return State::Good("issued".to_owned()) };
    let day = end.strftime("%Y-%m-%d");
    match one.renewal.as_deref() {
        Some("PENDING_VALIDATION") => {
            return State::Doubtful(format!("issued, ends on {day}, and is renewed once DNS shows {}", records(one)));
        }
        Some("FAILED") => {
            let words = "its renewal has failed";
            return State::Doubtful(format!("issued, ends on {day}, {words}{}: name another certificate", why(one)));
        }
        _ => {}
    }
    if !one.renewed && end.duration_since(now) < ENDS_SOON {
        let words = "and ACM does not renew it: import its successor under this ARN, or name another certificate";
        return State::Doubtful(format!("issued, ends on {day}, {words}"));
    }
    State::Good(format!("issued, valid until {day}"))
}

fn why(one: &Certificate) -> String {
    one.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
}

fn records(one: &Certificate) -> String {
    let record = |one: &Record| format!("{} {} {}", one.name, one.kind, one.value);
    one.records.iter().map(record).collect::<Vec<_>>().join(", ")
}

/// Why it is not issued, and what mends it.
fn unissued(one: &Certificate) -> String {
    let why = why(one);
    match one.status.as_str() {
        "PENDING_VALIDATION" if one.records.is_empty() => {
            "PENDING_VALIDATION: ACM has not validated its names yet. Answer its mail, or wait for its records"
                .to_owned()
        }
        "PENDING_VALIDATION" => format!("PENDING_VALIDATION: it is issued once DNS shows {}", records(one)),
        "ISSUED" | "EXPIRED" => format!("EXPIRED{why}: name one that is valid, or import its successor under this ARN"),
        status => format!("{status}{why}: request another certificate, and name it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(names: &[&str]) -> Certificate {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let not_after = Some("2027-03-01T00:00:00Z".parse().unwrap());
        Certificate { status: "ISSUED".into(), not_after, names, renewed: true, ..Certificate::default() }
    }

    fn error(code: &str) -> Error {
        let status = Some(400);
        Error { operation: "DescribeCertificate", code: Some(code.into()), status, message: "no".into() }
    }

    fn told(answer: &Answer, now: &str) -> State {
        state(answer, &["www.example.com".to_owned()], now.parse().unwrap())
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        for (name, alias, covers) in [
            ("example.com", "example.com", true),
            ("Example.com", "example.COM", true),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "*.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", ".example.com", false),
            ("example.com", "www.example.com", false),
        ] {
            assert_eq!(issued(&[name]).covers(alias), covers, "{name} {alias}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_mends_it() {
        let good = issued(&["*.example.com"]);
        let (early, late, after) = ("2026-11-01T00:00:00Z", "2027-02-20T00:00:00Z", "2027-03-02T00:00:00Z");
        let is = |status: &str| Ok(Some(Certificate { status: status.into(), ..good.clone() }));
        let record = Record { name: "_a.example.com.".into(), kind: "CNAME".into(), value: "_b.acm.aws.".into() };
        let pending = Certificate { status: "PENDING_VALIDATION".into(), records: vec![record], ..good.clone() };
        let renewing =
            Certificate { status: "ISSUED".into(), renewal: Some("PENDING_VALIDATION".into()), ..pending.clone() };
        let unrenewed = Certificate { renewal: Some("FAILED".into()), why: Some("CAA_ERROR".into()), ..good.clone() };
        let failed = Certificate { status: "FAILED".into(), why: Some("CAA_ERROR".into()), ..good.clone() };
        let imported = Certificate { renewed: false, ..good.clone() };
        let usable = |words: &str| (0, words.to_owned());
        let doubtful = |words: &str| (1, words.to_owned());
        let unissued = |words: &str| (2, words.to_owned());
        for (answer, now, (kind, words)) in [
            (Ok(Some(good.clone())), early, usable("issued, valid until 2027-03-01")),
            (Ok(Some(good.clone())), late, usable("issued, valid until 2027-03-01")),
            (Ok(Some(imported.clone())), early, usable("issued, valid until 2027-03-01")),
            (Ok(Some(imported)), late, doubtful("import its successor")),
            (Ok(Some(good.clone())), after, unissued("EXPIRED: name one")),
            (
                Ok(Some(renewing)),
                early,
                doubtful("ends on 2027-03-01, and is renewed once DNS shows _a.example.com. CNAME"),
            ),
            (Ok(Some(unrenewed)), early, doubtful("its renewal has failed (CAA_ERROR): name another")),
            (Ok(Some(pending)), early, unissued("DNS shows _a.example.com. CNAME _b.acm.aws.")),
            (is("PENDING_VALIDATION"), early, unissued("has not validated")),
            (is("EXPIRED"), early, unissued("EXPIRED: name one")),
            (is("REVOKED"), early, unissued("REVOKED: request another")),
            (is("INACTIVE"), early, unissued("INACTIVE: request another")),
            (is("VALIDATION_TIMED_OUT"), early, unissued("VALIDATION_TIMED_OUT: request another")),
            (Ok(Some(failed)), early, unissued("FAILED (CAA_ERROR): request another")),
            (Ok(Some(issued(&["example.com"]))), early, doubtful("and not www.example.com: name")),
            (Ok(None), early, unissued("there is none of this ARN")),
            (Err(error("AccessDeniedException")), early, doubtful("allow the operator acm:DescribeCertificate")),
            (Err(error("InternalFailure")), early, doubtful("not known: DescribeCertificate")),
        ] {
            let state = told(&answer, now);
            let is_denied = state.words().contains("allow the operator");
            let is_issued = state.words().starts_with("issued") || state.words().starts_with("it covers");
            assert_eq!(lasts(&answer, now.parse().unwrap()), is_denied || is_issued, "{state:?}");
            let found = match state {
                State::Good(_) => 0,
                State::Doubtful(_) => 1,
                State::NotIssued(_) => 2,
            };
            assert_eq!(found, kind, "{state:?}");
            assert!(state.words().contains(&words), "{state:?}: {words}");
        }
    }
}
