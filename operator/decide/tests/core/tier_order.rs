//! Which tier moves first.

use learningplatform_decide::TierKind;
use learningplatform_decide::tier_size::*;
use proptest::prelude::*;

#[test]
fn tiers_grow_from_what_others_lean_on_and_shrink_in_reverse() {
    use TierKind::{App, Cache, ReadReplicas};
    let proposal = |(kind, grows): (TierKind, bool)| Proposal { tier: kind.to_string().into(), kind, grows };
    // What is proposed, and what each waits for.
    type Wanted = &'static [(TierKind, bool)];
    let table: [(Wanted, &[Option<TierKind>]); 9] = [
        (&[(Cache, true)], &[None]),
        (&[(Cache, true), (ReadReplicas, true)], &[Some(ReadReplicas), None]),
        (&[(App, true), (Cache, true), (ReadReplicas, true)], &[None, Some(ReadReplicas), None]),
        (&[(App, true), (Cache, true)], &[None, None]),
        (&[(ReadReplicas, false), (Cache, false)], &[Some(Cache), None]),
        (&[(ReadReplicas, false), (Cache, false), (App, false)], &[Some(App), Some(App), None]),
        (&[(ReadReplicas, false), (Cache, true)], &[Some(Cache), None]),
        (&[(Cache, false), (App, true)], &[Some(App), None]),
        (&[(Cache, true), (Cache, true), (ReadReplicas, false)], &[None, None, Some(Cache)]),
    ];
    for (wanted, expected) in table {
        let all: Vec<Proposal> = wanted.iter().copied().map(proposal).collect();
        let found: Vec<Option<TierKind>> =
            all.iter().map(|proposal| waits_for(proposal, &all).map(|other| other.kind)).collect();
        assert_eq!(found, expected, "{wanted:?}");
    }
}

proptest! {
    #[test]
    fn the_order_of_tiers_never_locks(kinds in prop::collection::vec((0..3_usize, prop::bool::ANY), 1..8)) {
        let kind = |index: usize| [TierKind::ReadReplicas, TierKind::Cache, TierKind::App][index];
        let all: Vec<Proposal> =
            kinds.iter().map(|(index, grows)| Proposal { tier: "x".into(), kind: kind(*index), grows: *grows }).collect();
        prop_assert!(all.iter().any(|proposal| waits_for(proposal, &all).is_none()), "somebody can always move");
        for proposal in &all {
            prop_assert!(proposal.kind != TierKind::App || waits_for(proposal, &all).is_none(), "an app never waits");
        }
    }
}
