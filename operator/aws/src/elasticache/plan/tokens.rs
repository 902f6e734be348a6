//! The change of a token: it is taken beside the former one, the clients' Secret says it, all clients use it, and then it is the
//! only one. AWS takes two at most, and never tells which.

use super::{
    super::{Auth, Call, Group, Strategy, TOKEN, Tokens},
    Round,
    size::drags,
};
use crate::{Fingerprint, Password, Planned};

/// The tokens of a group that has just this one.
pub(super) fn only(token: Fingerprint) -> Tokens {
    Tokens { last: token, former: None, set: true }
}

/// The tokens after a change.
pub(super) fn after(tokens: Option<&Tokens>, strategy: Strategy, token: Fingerprint) -> Tokens {
    match strategy {
        Strategy::Set => only(token),
        Strategy::Rotate => {
            let former = tokens.map(|tokens| tokens.last.clone()).filter(|former| *former != token);
            Tokens { last: token, former, set: false }
        }
    }
}

enum Next<'a> {
    Done,
    Wait,
    Send(Strategy, &'a Password),
}

pub(super) fn plan(round: &mut Round<'_>, group: &Group, gate: Option<&String>) {
    let Auth::Token(credential) = &round.wish.spec.auth else { return };
    if !group.token {
        return;
    }
    // What is seen under way is what was sent, whether its answer arrived or not.
    if let Some((strategy, becomes)) = &round.memory.token_sent
        && group.pending_token == Some(*strategy)
    {
        round.memory.tokens = Some(becomes.clone());
        round.memory.token_sent = None;
    }
    let Some(wished) = &credential.wished else {
        return round.wait("the Secret with the token is missing");
    };
    let tokens = round.memory.tokens.clone().filter(|_| round.memory.token_sent.is_none());
    let fingerprint = wished.fingerprint();
    let is_taken = |tokens: &Tokens| tokens.last == fingerprint || tokens.former.as_ref() == Some(&fingerprint);
    if group.pending_token.is_none() && tokens.as_ref().is_some_and(is_taken) {
        round.view.accepted.insert(TOKEN.to_owned(), fingerprint);
    }
    match next(tokens.as_ref(), wished, credential.published.as_ref(), credential.taken) {
        Next::Done => {}
        Next::Wait => round.wait("the clients do not use the published token yet"),
        Next::Send(strategy, token) => {
            let call = Call::SetToken { id: group.id.clone(), token: token.clone(), strategy };
            let planned = Planned::new(call).hold(gate.cloned());
            round.add(drags(round, group, planned, true));
        }
    }
}

/// What is next. No token that a client may still use is ever dropped.
fn next<'a>(tokens: Option<&Tokens>, wished: &'a Password, published: Option<&'a Password>, taken: bool) -> Next<'a> {
    let wish = wished.fingerprint();
    let says = published.map(Password::fingerprint);
    match (tokens, published) {
        (Some(tokens), _) if tokens.last == wish && tokens.set => Next::Done,
        (Some(tokens), _) if tokens.last == wish => match says == Some(wish) && taken {
            true => Next::Send(Strategy::Set, wished),
            false => Next::Wait,
        },
        (Some(tokens), _) if tokens.set => Next::Send(Strategy::Rotate, wished),
        // Two are taken, or it is not known which: one more drops the older, which a client may use.
        (_, None) => Next::Send(Strategy::Rotate, wished),
        (_, Some(_)) if !taken => Next::Wait,
        (tokens, Some(published)) => {
            let is_last = tokens.is_some_and(|tokens| says.as_ref() == Some(&tokens.last));
            let is_safe = is_last || says == Some(wish);
            Next::Send(Strategy::Rotate, if is_safe { wished } else { published })
        }
    }
}
