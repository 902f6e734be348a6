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
