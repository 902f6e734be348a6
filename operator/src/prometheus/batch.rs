//! Many questions in few queries: what differs only in whose series are meant is asked in one expression. Pure.

use super::{
    api::{QueryError, Series, Vector},
    preset::{Workload, identity, in_pods, is_cut},
    query::{Question, Subject, Template},
};
use decide::SourceError;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Most apps in one query (P).
pub const MOST: usize = 200;

/// One thing to ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A default query about a workload.
    Workload(Arc<Template>, Question, Workload),
    /// A default query about series that the user's labels select.
    Labels(Arc<Template>, Question, Arc<BTreeMap<String, String>>),
    /// An expression of the user's own.
    Own(Arc<str>),
}

/// One query and who asked for it: the indices of the asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    /// One expression about many workloads.
    Workloads {
        /// The template.
        template: Arc<Template>,
        /// The question.
        question: Question,
        /// Who asked, about which workload.
        members: Vec<(usize, Workload)>,
    },
    /// An expression of one ask.
    Alone {
        /// The expression.
        expression: Arc<str>,
        /// Who asked.
        member: usize,
    },
}

/// What one ask was answered.
pub type Reply = Result<Vector, SourceError>;

/// The batches of `asks`, each of at most `most` workloads, the user's own expressions last.
pub fn batches(asks: &[Ask], most: usize) -> Vec<Batch> {
    let mut shared: BTreeMap<_, Vec<(usize, Workload)>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (member, ask) in asks.iter().enumerate() {
        match ask {
            Ask::Workload(template, question, workload) => {
                shared.entry((template, *question, is_cut(workload))).or_default().push((member, workload.clone()));
            }
            Ask::Labels(template, question, labels) => {
                let expression = template.expression(*question, Subject::Labels(labels)).into();
                alone.push(Batch::Alone { expression, member });
            }
            Ask::Own(expression) => alone.push(Batch::Alone { expression: expression.clone(), member }),
        }
    }
    let mut all = Vec::new();
    for ((template, question, _), members) in shared {
        for members in members.chunks(most.max(1)) {
            all.push(Batch::Workloads { template: template.clone(), question, members: members.to_vec() });
        }
    }
    all.extend(alone);
    all
}

impl Batch {
    /// The expression.
    pub fn expression(&self) -> Arc<str> {
        match self {
            Self::Workloads { template, question, members } => {
                let workloads: Vec<&Workload> = members.iter().map(|(_, workload)| workload).collect();
                template.expression(*question, Subject::Workloads(&workloads)).into()
            }
            Self::Alone { expression, .. } => expression.clone(),
        }
    }

    /// Who asked.
    pub fn members(&self) -> Vec<usize> {
        match self {
            Self::Workloads { members, .. } => members.iter().map(|(member, _)| *member).collect(),
            Self::Alone { member, .. } => vec![*member],
        }
    }

    /// The two halves; none of a batch of one.
    pub fn halves(self) -> Option<[Self; 2]> {
        match self {
            Self::Workloads { template, question, mut members } if members.len() > 1 => {
                let rest = members.split_off(members.len() / 2);
                let half = |members| Self::Workloads { template: template.clone(), question, members };
                Some([half(members), half(rest)])
            }
            _ => None,
        }
    }

    /// What each member was answered: of a failed query all the same, of others its own series, maybe none.
    pub fn replies(&self, answer: Result<Vector, QueryError>) -> Vec<(usize, Reply)> {
        let vector = match answer {
            Err(error) => return self.members().into_iter().map(|member| (member, Err(error.error.clone()))).collect(),
            Ok(vector) => vector,
        };
        let (template, question, members) = match self {
            Self::Alone { member, .. } => return vec![(*member, Ok(vector))],
            Self::Workloads { template, question, members } => (template, *question, members),
        };
        if question == Question::Live && !in_pods(template.preset) {
            return members.iter().map(|(member, _)| (*member, Ok(vector.clone()))).collect();
        }
        let partial = vector.partial;
        let mut by_identity: HashMap<String, Vec<Series>> = HashMap::new();
        for series in vector.series {
            let identity = ["namespace", "workload"].iter().filter_map(|label| series.labels.get(*label));
            let identity = identity.map(String::as_str).collect::<Vec<_>>().join("/");
            by_identity.entry(identity).or_default().push(series);
        }
        let own =
            |workload: &Workload| by_identity.get(&identity(template.preset, workload)).cloned().unwrap_or_default();
        members.iter().map(|(member, workload)| (*member, Ok(Vector { series: own(workload), partial }))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::query::Signal;
    use crds::tiers::autoscaling::Preset;
    use decide::{Duration, SourceErrorKind};
    use proptest::prelude::*;

    /// The values of each app's series, by namespace and name.
    type Fleet = BTreeMap<(String, String), Vec<f64>>;

    fn fleet() -> impl Strategy<Value = Fleet> {
        // One may begin as another does, and several namespaces have apps of one name.
        let any = |names: [&str; 3]| prop::sample::select(names.map(str::to_owned).to_vec());
        let namespace = any(["lab", "lab-2", "school"]);
        let name = prop_oneof![3 => any(["web", "web-admin", "api"]), 1 => Just("long".repeat(13))];
        prop::collection::btree_map((namespace, name), prop::collection::vec(prop::num::f64::ANY, 0..3), 1..12)
    }

    /// What a server that holds `fleet` answers. Its matchers are for namespaces and for names, so that it answers for apps
    /// that nobody asked for, too; a query about the app `heavy` is too large.
    fn serve(batch: &Batch, fleet: &Fleet, heavy: &Workload, turned: usize) -> Result<Vector, QueryError> {
        let (template, members) = match batch {
            Batch::Alone { expression, .. } => return Ok(vec![Series::new([("asked", &**expression)], 1.0)].into()),
            Batch::Workloads { template, members, .. } => (template, members),
        };
        if members.iter().any(|(_, workload)| workload == heavy) {
            return Err(QueryError::new(SourceErrorKind::Query, "too many samples").too_large());
        }
        let of_any = |part: fn(&Workload) -> &String, text: &String| members.iter().any(|(_, w)| part(w) == text);
        let matched = fleet.iter().filter(|((namespace, name), _)| {
            of_any(|workload| &workload.namespace, namespace) && of_any(|workload| &workload.name, name)
        });
        let mut series: Vec<Series> = matched
            .flat_map(|((namespace, name), values)| {
                let own = Workload { namespace: namespace.clone(), name: name.clone() };
                let whole = identity(template.preset, &own);
                values.iter().map(move |value| match template.preset {
                    Preset::EnvoyGateway | Preset::Traefik => Series::new([("workload", whole.as_str())], *value),
                    _ => Series::new([("namespace", namespace.as_str()), ("workload", name.as_str())], *value),
                })
            })
            .collect();
        let turned = turned % series.len().max(1);
        series.rotate_left(turned);
        Ok(series.into())
    }

    /// The replies to `asks`, as text in which NaN equals itself; batches that are too large are halved.
    fn replies(asks: &[Ask], most: usize, server: impl Fn(&Batch) -> Result<Vector, QueryError>) -> Vec<String> {
        let mut found = vec![String::new(); asks.len()];
        let mut open = batches(asks, most);
        while let Some(batch) = open.pop() {
            let answer = server(&batch);
            let too_large = answer.as_ref().is_err_and(|error| error.too_large);
            if let Some(halves) = batch.clone().halves().filter(|_| too_large) {
                open.extend(halves);
                continue;
            }
            for (member, reply) in batch.replies(answer) {
                let mut told: Vec<String> = match reply {
                    Ok(vector) => vector.series.iter().map(|series| format!("{series:?}")).collect(),
                    Err(error) => vec![format!("{error:?}")],
                };
                told.sort();
                assert_eq!(std::mem::replace(&mut found[member], told.join(" ")), "", "one reply each");
            }
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// INV-ISOLATION, where many apps share an answer: each is told what it would be told alone, whatever the others'
        /// series are, and whichever query of theirs fails.
        #[test]
        fn inv_isolation(
            fleet in fleet(),
            preset in prop::sample::select(vec![Preset::App, Preset::EnvoyGateway, Preset::Istio, Preset::Traefik]),
            most in 1..6_usize,
            heavy in any::<prop::sample::Index>(),
            turned in 0..9_usize,
        ) {
            let workloads: Vec<Workload> =
                fleet.keys().map(|(namespace, name)| Workload { namespace: namespace.clone(), name: name.clone() }).collect();
            let heavy = &workloads[heavy.index(workloads.len())];
            let metric = "requests_total".to_owned();
            let template = Arc::new(Template { signal: Signal::Rate, preset, metric, matchers: BTreeMap::new() });
            let question = Question::Value(Duration::from_mins(1));
            let asks: Vec<Ask> = workloads
                .iter()
                .enumerate()
                .flat_map(|(number, workload)| {
                    let own = Ask::Own(format!("own_{number}").into());
                    [Ask::Workload(template.clone(), question, workload.clone()), own]
                })
                .collect();
            let together = replies(&asks, most, |batch| serve(batch, &fleet, heavy, turned));
            for (ask, told) in asks.iter().zip(&together) {
                let alone = replies(std::slice::from_ref(ask), most, |batch| serve(batch, &fleet, heavy, 0));
                prop_assert_eq!(&alone[0], told, "{:?}", ask);
                let is_heavy = matches!(ask, Ask::Workload(.., workload) if workload == heavy);
                prop_assert_eq!(is_heavy, told.contains("too many samples"), "{:?}", ask);
            }
        }
    }
}
