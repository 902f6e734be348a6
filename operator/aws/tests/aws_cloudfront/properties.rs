//! What holds for whatever is wished, seen and remembered.

use crate::{
    driver::{Operator, has, patterns},
    wishes::{self, app, behavior, bucket, legacy, managed, owner, seven_p, wish},
};
use jiff::Timestamp;
use learningplatform_aws::{
    Call as _, Kind, Mode, Standing, TAGS, Tags,
    cloudfront::{
        Behavior, BucketAccess, CacheSettings, Call, DeletionPolicy, Distribution, Element, GeoRestriction, Legacy,
        Listed, Memory, Names, OriginKind, Policy, Scope, Seen, Spec, Step, Wish, plan,
    },
};
use proptest::prelude::*;

const PATHS: [&str; 6] = ["/static/*", "/api/*", "/api/me/*", "*.js", "video/*", "/sw.js"];

fn names() -> impl Strategy<Value = Names> {
    prop_oneof![Just(Names::None), Just(Names::All), Just(Names::Only(wishes::set(&["w", "q", "session"])))]
}

fn any_behavior() -> impl Strategy<Value = Behavior> {
    let cache = (0..4u8, names(), names(), 0..3u64, any::<[bool; 2]>());
    let more = (prop::option::of(any::<bool>()), prop::option::of(0..3u64), any::<bool>(), any::<bool>());
    (cache, more).prop_map(|((kind, cookies, query, ttl, [key, listed]), (compress, browser, methods, bucket))| {
        let mut one =
            behavior(if bucket { "assets" } else { "web" }, if methods { wishes::all() } else { wishes::read() });
        one.compress = compress;
        one.browser_ttl = browser.map(|ttl| ttl * 3600);
        let ttl = ttl * 43_200;
        let headers = if key { wishes::set(&["Origin", "Authorization"]) } else { Default::default() };
        match kind {
            0 => one.cache_policy = managed("CachingDisabled"),
            1 => {
                one.cache_policy = managed("CachingOptimized");
                one.origin_request_policy = managed("AllViewer");
            }
            2 => {
                let (max_ttl, compression) = (ttl + 1, true);
                let settings =
                    CacheSettings { min_ttl: 0, default_ttl: ttl, max_ttl, headers, cookies, query, compression };
                one.cache_policy = Some(Policy::Own(settings));
            }
            _ => {
                let ttls = if listed { legacy(0, ttl, ttl) } else { Legacy::default() };
                one.legacy = Some(Legacy { query_string: query != Names::None, headers, cookies, ..ttls });
            }
        }
        one
    })
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let behaviors = prop::collection::vec((prop::sample::select(PATHS.to_vec()), any_behavior()), 0..5);
    let fields = (any::<[bool; 6]>(), 0..3u8, prop::option::of(0..2u8));
    (behaviors, any_behavior(), fields).prop_map(|(behaviors, default, (flags, geo, access))| {
        let [aliases, comment, errors, logging, ipv6, shield] = flags;
        let whole = seven_p();
        let mut origins = vec![app("web"), bucket("assets")];
        origins[0].shield = shield.then(|| "eu-central-1".to_owned());
        origins[1].kind = OriginKind::S3(match access {
            None => BucketAccess::Own,
            Some(0) => BucketAccess::Public,
            Some(_) => BucketAccess::Identity("E127".into()),
        });
        let mut spec = Spec { origins, default_behavior: Some(default), ..Spec::default() };
        for (path, one) in behaviors {
            if spec.behaviors.iter().all(|(other, _)| other != path) {
                spec.behaviors.push((path.to_owned(), one));
            }
        }
        if aliases {
            (spec.aliases, spec.certificate) = (whole.aliases, whole.certificate);
        }
        spec.comment = comment.then(|| "a comment & more".to_owned());
        spec.errors = errors.then_some(whole.errors).flatten();
        spec.logging = logging.then_some(whole.logging).flatten();
        spec.ipv6 = ipv6.then_some(false);
        spec.geo_restriction = match geo {
            0 => None,
            1 => Some(GeoRestriction::None),
            _ => Some(GeoRestriction::Deny(wishes::set(&["AQ", "BV"]))),
        };
        spec
    })
}

/// Ours, a former platform's, another cluster's, somebody else's.
fn tags(kind: usize) -> Tags {
    let mut tags = owner("story", if kind == 1 { "uid-0" } else { "uid-1" }).tags();
    match kind {
        2 => drop(tags.insert(TAGS[0].into(), "green".into())),
        3 => drop(tags.insert(TAGS[3].into(), "another".into())),
        4 => tags.clear(),
        _ => {}
    }
    tags
}

fn config(reference: &str, enabled: bool) -> Element {
    let xml = format!(
        "<DistributionConfig><CallerReference>{reference}</CallerReference><Origins><Quantity>1</Quantity><Items><Origin><Id>web</Id>\
         <DomainName>x.example.com</DomainName></Origin></Items></Origins><DefaultCacheBehavior><TargetOriginId>web</TargetOriginId>\
         <CachePolicyId>1</CachePolicyId></DefaultCacheBehavior><Comment>is</Comment><Enabled>{enabled}</Enabled></DistributionConfig>"
    );
    Element::parse(&xml).expect("it is XML")
}

fn any_world() -> impl Strategy<Value = (Wish, Seen, Memory, Timestamp)> {
    let one = (0..5usize, any::<[bool; 3]>(), 0..3u32, any::<bool>());
    let worlds = prop::collection::vec(one, 0..4);
    let mode = prop_oneof![1 => Just(Mode::Observe), 1 => Just(Mode::Plan), 6 => Just(Mode::Apply)];
    let policy = prop::option::of(prop_oneof![Just(DeletionPolicy::Retain), Just(DeletionPolicy::Delete)]);
    let wished = (any::<[bool; 2]>(), mode, policy, prop::option::weighted(0.2, 0..4usize));
    let remembered = (any::<[bool; 4]>(), prop::option::of(0..4usize), 0..200i64);
    (worlds, wished, remembered, any_spec()).prop_map(|(worlds, wished, remembered, spec)| {
        let ([deleted, adopt], mode, deletion_policy, attach) = wished;
        let mut wish = Wish { deleted, adopt, mode, deletion_policy, ..wish(spec) };
        let mut seen = Seen { all_read: true, ..Seen::default() };
        for (number, (kind, [enabled, deployed, made], counter, shown)) in worlds.into_iter().enumerate() {
            let id = format!("E{number}");
            let reference = wish.owner.identity.caller_reference(counter);
            let config = config(if made { &reference } else { "other" }, enabled);
            if shown {
                seen.listed.push(Listed { id: id.clone(), tags: tags(kind) });
            }
            seen.read.push(Distribution {
                arn: format!("arn:{id}"),
                domain_name: format!("{id}.cloudfront.net"),
                status: if deployed { "Deployed".into() } else { "InProgress".into() },
                etag: format!("TAG{number}"),
                id,
                config,
            });
        }
        if let Some(number) = attach {
            wish.scope = Scope::Attach { distribution: format!("E{number}") };
            wish.spec.default_behavior = None;
        }
        let now = Timestamp::from_second(1_790_000_000).expect("a time");
        let ([was_seen, taken, gone, edited], id, ago) = remembered;
        let then = Timestamp::from_second(1_790_000_000 - ago).expect("a time");
        let memory = Memory {
            id: id.map(|number| format!("E{number}")),
            seen: was_seen,
            taken: taken.then_some(then),
            absent_since: gone.then_some(then),
            edit: edited.then(|| ("another".to_owned(), then)),
            ..Memory::default()
        };
        (wish, seen, memory, now)
    })
}

fn standing(wish: &Wish, seen: &Seen, id: &str) -> Standing {
    let listed = seen.listed.iter().find(|one| one.id == id);
    listed.map_or(Standing::NameConflict, |one| wish.owner.standing(&one.tags))
}

fn run(case: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(case)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_wished_comes_to_rest_and_a_second_pass_changes_nothing(first in any_spec(), second in any_spec()) {
        run(async {
            let mut operator = Operator::new(wish(first));
            for (round, spec) in [None, Some(second)].into_iter().enumerate() {
                if let Some(spec) = spec {
                    operator.edit(|wish| wish.spec = spec);
                }
                operator.synced().await;
                let (log, updates) = (operator.cloudfront.log(), operator.cloudfront.done("UpdateDistribution").len());
                prop_assert!(log.iter().all(|one| one.refused.is_none()), "{:?}", log);
                prop_assert!(updates <= round, "one edit is one update");
                let wished: Vec<String> = operator.wish.spec.behaviors.iter().map(|(path, _)| path.clone()).collect();
                prop_assert_eq!(patterns(&operator.only().config), wished);
                for _ in 0..5 {
                    let step = operator.synced().await;
                    operator.clock.advance(step.requeue);
                }
                prop_assert_eq!(operator.cloudfront.log().len(), log.len());
            }
            Ok(())
        })?;
    }

    #[test]
    fn what_is_attached_leaves_the_rest_as_it_is(first in any_spec(), second in any_spec(), theirs in any_spec()) {
        run(async {
            let mut owner = Operator::new(wish(theirs));
            owner.wish.owner = wishes::owner("school", "uid-9");
            owner.synced().await;
            let id = owner.only().id;
            // It is no platform's any more.
            owner.cloudfront.tag(&id, Tags::clear);
            owner.cloudfront.keep_order(true);
            let (before, companions) = (owner.only().config.to_xml(), owner.cloudfront.kept_companions());
            let mut operator = owner.beside(wish(Spec::default()));
            for spec in [first, second] {
                let mut spec = Spec { origins: spec.origins, behaviors: spec.behaviors, ..Spec::default() };
                for (path, _) in &mut spec.behaviors {
                    *path = format!("/ours/{}", path.trim_start_matches('/'));
                }
                if spec.behaviors.is_empty() {
                    spec.behaviors.push(("/ours".into(), Behavior { cache_policy: managed("CachingDisabled"), ..behavior("web", None) }));
                    spec.behaviors[0].1.cached_methods = None;
                }
                operator.edit(|wish| (wish.spec, wish.scope) = (spec, Scope::Attach { distribution: id.clone() }));
                let step = operator.synced().await;
                prop_assert!(!has(&step, Kind::NameConflict));
                let log = operator.cloudfront.log().len();
                operator.synced().await;
                prop_assert_eq!(operator.cloudfront.log().len(), log);
            }
            operator.edit(|wish| wish.deleted = true);
            operator.until(|step| step.finished).await;
            prop_assert_eq!(operator.only().config.to_xml(), before);
            prop_assert_eq!(operator.cloudfront.kept_companions(), companions);
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_is_allowed((wish, seen, memory, now) in any_world()) {
        let step: Step = plan(&wish, &seen, &memory, now);
        let Some(call) = &step.send else { return Ok(()) };
        prop_assert!(wish.mode == Mode::Apply && !step.finished);
        let planned = step.plan.calls.iter().find(|one| one.call == *call).expect("it is of the plan");
        prop_assert!(planned.hold.is_none() && !call.sentence().contains(wishes::SECRET));
        let of = |id: &str| seen.read.iter().find(|one| one.id == id).expect("it was read");
        let is_attach = wish.scope != Scope::Own;
        match call {
            Call::Create { reference, config, tags } => {
                prop_assert!(!wish.deleted && !is_attach);
                prop_assert_eq!(config.value("CallerReference"), Some(&**reference));
                prop_assert_eq!(tags, &wish.owner.tags());
                // Neither ours nor a former one is there, under whatever reference.
                let is_former = |one: &Listed| wish.owner.former(&one.tags).is_some();
                prop_assert!(!seen.listed.iter().any(is_former), "{:?}", seen.listed);
            }
            Call::Update { id, etag, config, changes } => {
                prop_assert_eq!(etag, &of(id).etag);
                prop_assert!(!changes.is_empty());
                prop_assert_eq!(config.value("CallerReference"), of(id).config.value("CallerReference"));
                if is_attach {
                    prop_assert!(!seen.listed.iter().any(|one| one.id == *id && one.tags.len() == 5) || wish.deleted);
                } else {
                    prop_assert_eq!(standing(&wish, &seen, id), Standing::Ours);
                    prop_assert!(!wish.deleted || wish.deletion_policy == Some(DeletionPolicy::Delete));
                }
            }
            Call::Delete { id, etag } => {
                prop_assert!(wish.deleted && wish.deletion_policy == Some(DeletionPolicy::Delete) && !is_attach);
                prop_assert_eq!(standing(&wish, &seen, id), Standing::Ours);
                prop_assert!(of(id).is_deployed() && !of(id).is_enabled());
                prop_assert_eq!(etag, &of(id).etag);
            }
            Call::Tag { id, .. } => {
                prop_assert!(wish.adopt && !wish.deleted && !is_attach);
                let listed = seen.listed.iter().find(|one| one.id == *id).expect("it is listed");
                prop_assert!(wish.owner.former(&listed.tags).is_some());
            }
            Call::CreateCompanion { .. } => prop_assert!(!wish.deleted),
            Call::Invalidate { .. } | Call::Publish { .. } | Call::DeleteCompanion { .. } => {
                prop_assert!(false, "nothing of these is there: {:?}", call);
            }
        }
    }

    #[test]
    fn the_order_of_what_aws_lists_says_nothing((wish, mut seen, memory, now) in any_world()) {
        let step = plan(&wish, &seen, &memory, now);
        seen.listed.reverse();
        seen.read.reverse();
        let again = plan(&wish, &seen, &memory, now);
        prop_assert_eq!((step.send, step.plan, step.remember), (again.send, again.plan, again.remember));
    }

    #[test]
    fn nothing_is_finished_while_something_of_ours_is_there((mut wish, seen, memory, now) in any_world()) {
        (wish.deleted, wish.mode, wish.deletion_policy) = (true, Mode::Apply, Some(DeletionPolicy::Delete));
        let step = plan(&wish, &seen, &memory, now);
        let is_ours = |one: &&Distribution| {
            standing(&wish, &seen, &one.id) == Standing::Ours && (memory.id.is_none() || memory.id.as_ref() == Some(&one.id))
        };
        if wish.scope == Scope::Own && seen.read.iter().any(|one| is_ours(&one)) {
            prop_assert!(!step.finished);
        }
    }

    #[test]
    fn no_look_is_too_soon_or_too_late((wish, seen, memory, now) in any_world()) {
        let step = plan(&wish, &seen, &memory, now);
        prop_assert!((1..=600).contains(&step.requeue.as_secs()), "{:?}", step.requeue);
    }
}
