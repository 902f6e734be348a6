//! What is done with requests, and the policies and functions for it.

use super::wish::{Found, word, words};
use aws::cloudfront::{
    Behavior, CacheSettings, Cors, Event, Forwarded, ForwardedHeaders, Function, FunctionRef, Hsts, Legacy, Names,
    Policy, ResponseHeaders,
};
use crds::tiers::cdn::{self, CloudFront, HeaderChoice, NameChoice, PolicyRef};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the function that answers 403, which is no name that a user could give.
const CLOSED: &str = "(closed)";
const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;

/// The functions that behaviours name.
pub(super) fn functions(cdn: &CloudFront) -> BTreeMap<String, Function> {
    let own = cdn.functions.iter().map(|one| {
        let function = Function { runtime: word(one.runtime.unwrap_or_default()), code: one.code.clone() };
        (one.name.clone(), function)
    });
    let is_closed = cdn.behaviors.iter().any(|one| one.closed == Some(true));
    own.chain(is_closed.then(|| (CLOSED.to_owned(), Function::closed()))).collect()
}

/// A behaviour, which stands at `field`.
pub(super) fn behavior(field: &str, of: &cdn::Behavior, cdn: &CloudFront, found: &mut Found) -> Behavior {
    let is_closed = of.closed == Some(true);
    let own_cache = |name: &str| cdn.cache_policies.iter().find(|one| one.name == name);
    let own_requests = |name: &str| cdn.origin_request_policies.iter().find(|one| one.name == name);
    let own_headers = |name: &str| cdn.response_headers_policies.iter().find(|one| one.name == name);
    let cache_policy =
        policy(&format!("{field}.cachePolicy"), of.cache_policy.as_ref(), own_cache, cache_settings, found);
    let without = is_closed && of.cache_policy.is_none() && of.forwarded_values.is_none();
    Behavior {
        origin: of.origin.clone(),
        viewer_protocol_policy: word(of.viewer_protocol_policy.unwrap_or_default()),
        allowed_methods: of.allowed_methods.as_deref().map(words),
        cached_methods: of.cached_methods.as_deref().map(words),
        compress: of.compress,
        smooth_streaming: of.smooth_streaming,
        cache_policy: if without { Some(Policy::Managed("CachingDisabled".into())) } else { cache_policy },
        origin_request_policy: policy(
            &format!("{field}.originRequestPolicy"),
            of.origin_request_policy.as_ref(),
            own_requests,
            |_, one, _| forwarded(one),
            found,
        ),
        legacy: of.forwarded_values.as_ref().map(|values| legacy(&format!("{field}.forwardedValues"), values, found)),
        response_headers_policy: policy(
            &format!("{field}.responseHeadersPolicy"),
            of.response_headers_policy.as_ref(),
            own_headers,
            response_headers,
            found,
        ),
        browser_ttl: found.seconds(&format!("{field}.browserTTL"), of.browser_ttl),
        functions: associations(field, of, found),
        key_groups: of.key_groups.as_ref().map(|ids| ids.iter().cloned().collect()),
    }
}

/// A policy that a behaviour names: one of AWS's, somebody else's, or one that is made of an item of the CDN's lists.
fn policy<'a, I: 'a, T>(
    field: &str,
    of: Option<&PolicyRef>,
    item: impl Fn(&str) -> Option<&'a I>,
    content: impl Fn(&str, &I, &mut Found) -> T,
    found: &mut Found,
) -> Option<Policy<T>> {
    let of = of?;
    match (&of.managed, &of.id, &of.name) {
        (Some(name), None, None) => Some(Policy::Managed(name.clone())),
        (None, Some(id), None) => Some(Policy::Id(id.clone())),
        (None, None, Some(name)) => match item(name) {
            Some(item) => Some(Policy::Own(content(name, item, found))),
            None => {
                found.problem(
                    &format!("{field}.name"),
                    format!("there is no policy {name}: add it, or correct the name"),
                );
                None
            }
        },
        _ => {
            found.problem(field, "say which policy: set exactly one of managed, id and name");
            None
        }
    }
}

fn associations(field: &str, of: &cdn::Behavior, found: &mut Found) -> Option<BTreeMap<Event, FunctionRef>> {
    let mut functions = of.functions.as_ref().map(|both| {
        let both = [
            (Event::ViewerRequest, "viewerRequest", &both.viewer_request),
            (Event::ViewerResponse, "viewerResponse", &both.viewer_response),
        ];
        let one = |(event, name, of): (Event, &str, &Option<cdn::FunctionRef>)| match of.as_ref()? {
            cdn::FunctionRef { name: Some(name), arn: None } => Some((event, FunctionRef::Own(name.clone()))),
            cdn::FunctionRef { name: None, arn: Some(arn) } => Some((event, FunctionRef::Arn(arn.clone()))),
            _ => {
                found.problem(
                    &format!("{field}.functions.{name}"),
                    "say which function: set exactly one of name and arn",
                );
                None
            }
        };
        both.into_iter().filter_map(one).collect::<BTreeMap<_, _>>()
    });
    if of.closed == Some(true) {
        let gate = functions.get_or_insert_default().insert(Event::ViewerRequest, FunctionRef::Own(CLOSED.into()));
        if gate.is_some() {
            let problem = "answers in place of functions.viewerRequest: remove one of them";
            found.problem(&format!("{field}.closed"), problem);
        }
    }
    functions
}

fn cache_settings(name: &str, of: &cdn::CachePolicy, found: &mut Found) -> CacheSettings {
    let field = format!("cachePolicies[{name}]");
    let min_ttl = found.seconds(&format!("{field}.minTTL"), of.min_ttl).unwrap_or(0);
    let default_ttl = found.seconds(&format!("{field}.defaultTTL"), of.default_ttl);
    let max_ttl = found.seconds(&format!("{field}.maxTTL"), of.max_ttl);
    let max_ttl = max_ttl.unwrap_or_else(|| YEAR.max(min_ttl).max(default_ttl.unwrap_or(0)));
    CacheSettings {
        min_ttl,
        default_ttl: default_ttl.unwrap_or_else(|| DAY.max(min_ttl).min(max_ttl)),
        max_ttl,
        headers: of.headers.iter().cloned().collect(),
        cookies: names(of.cookies.as_ref()),
        query: names(of.query_strings.as_ref()),
        compression: of.compression.unwrap_or(max_ttl > 0),
    }
}

fn forwarded(of: &cdn::OriginRequestPolicy) -> Forwarded {
    let headers = of.headers.as_ref().map_or(ForwardedHeaders::None, |headers| {
        let names = headers.names.iter().cloned().collect();
        match headers.behavior {
            HeaderChoice::None => ForwardedHeaders::None,
            HeaderChoice::Whitelist => ForwardedHeaders::Only(names),
            HeaderChoice::AllViewer => ForwardedHeaders::AllViewer,
            HeaderChoice::AllExcept => ForwardedHeaders::AllBut(names),
        }
    });
    Forwarded { headers, cookies: names(of.cookies.as_ref()), query: names(of.query_strings.as_ref()) }
}

fn legacy(field: &str, of: &cdn::ForwardedValues, found: &mut Found) -> Legacy {
    Legacy {
        query_string: of.query_string.unwrap_or(false),
        query_string_keys: of.query_string_keys.iter().cloned().collect(),
        headers: of.headers.iter().cloned().collect(),
        cookies: names(of.cookies.as_ref()),
        min_ttl: found.seconds(&format!("{field}.minTTL"), of.min_ttl),
        default_ttl: found.seconds(&format!("{field}.defaultTTL"), of.default_ttl),
        max_ttl: found.seconds(&format!("{field}.maxTTL"), of.max_ttl),
    }
}

fn names(of: Option<&cdn::Names>) -> Names {
    let Some(of) = of else { return Names::None };
    let names = of.names.iter().cloned().collect();
    match of.behavior {
        NameChoice::None => Names::None,
        NameChoice::Whitelist => Names::Only(names),
        NameChoice::AllExcept => Names::AllBut(names),
        NameChoice::All => Names::All,
    }
}

fn response_headers(name: &str, of: &cdn::ResponseHeadersPolicy, found: &mut Found) -> ResponseHeaders {
    let field = format!("responseHeadersPolicies[{name}]");
    let cors = of.cors.as_ref().map(|cors| {
        let or = |texts: BTreeSet<String>, default: &[&str]| match texts.is_empty() {
            true => default.iter().map(|text| (*text).to_owned()).collect(),
            false => texts,
        };
        Cors {
            origins: cors.origins.iter().cloned().collect(),
            methods: or(words(&cors.methods), &["GET", "HEAD"]),
            headers: or(cors.headers.iter().cloned().collect(), &["*"]),
            credentials: cors.credentials.unwrap_or(false),
            max_age: found.seconds(&format!("{field}.cors.maxAge"), cors.max_age),
        }
    });
    let hsts = of.strict_transport_security.as_ref().map(|hsts| Hsts {
        max_age: found
            .seconds(&format!("{field}.strictTransportSecurity.maxAge"), Some(hsts.max_age))
            .unwrap_or_default(),
        include_subdomains: hsts.include_subdomains.unwrap_or(false),
        preload: hsts.preload.unwrap_or(false),
    });
    ResponseHeaders {
        cors,
        hsts,
        nosniff: of.content_type_options.unwrap_or(false),
        referrer_policy: of.referrer_policy.map(word),
        frame_options: of.frame_options.map(word),
        content_security_policy: of.content_security_policy.clone(),
        custom: of.custom_headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
        remove: of.remove_headers.iter().cloned().collect(),
    }
}
