//! Answers of the API server, cut where they are nested deeper than a JSON parser follows. An overlay may be nested at will;
//! one such platform would make every list and watch of all platforms fail.

use http_body_util::BodyExt;
use hyper::body::Bytes;
use kube::Client;

/// Levels that are kept. `serde_json` follows 127; what an overlay may have ([`crate::tiers::app::overlay`]) is far less, so
/// that one that was cut is refused.
const LEVELS: usize = 100;

/// The client with every answer cut.
pub fn client(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let valid_until = *client.valid_until();
    let service = tower::service_fn(move |request| {
        let client = client.clone();
        async move {
            let answer = client.send(request).await?;
            let mut cut = Cut::default();
            Ok::<_, kube::Error>(
                answer.map(|body| body.map_frame(move |frame| frame.map_data(|data| cut.piece(&data)))),
            )
        }
    });
    Client::new(service, namespace).with_valid_until(valid_until)
}

/// Where in a stream of JSON the last piece ended.
#[derive(Default)]
struct Cut {
    level: usize,
    in_string: bool,
    escaped: bool,
}

impl Cut {
    /// The next piece, with `null` in place of what is too deep.
    fn piece(&mut self, piece: &[u8]) -> Bytes {
        let mut kept = Vec::with_capacity(piece.len());
        for &byte in piece {
            let before = self.level;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.level += 1,
                b'}' | b']' if !self.in_string => self.level = self.level.saturating_sub(1),
                _ => {}
            }
            if before.max(self.level) <= LEVELS {
                kept.push(byte);
            } else if before == LEVELS {
                kept.extend_from_slice(b"null");
            }
        }
        kept.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::LearningPlatform;
    use kube::{
        Api, ResourceExt,
        api::ListParams,
        client::Body,
        core::{DeserializeGuard, WatchEvent},
    };
    use serde_json::{Value, json};

    /// `inner` in so many objects.
    fn nested(levels: usize, inner: &str) -> String {
        format!("{}{inner}{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
    }

    #[test]
    fn only_what_is_too_deep_is_cut() {
        for (text, expected) in [
            (nested(LEVELS, "1"), nested(LEVELS, "1")),
            (nested(LEVELS, "[1,{}]"), nested(LEVELS, "null")),
            (nested(LEVELS - 1, "[1,{},[2],3]"), nested(LEVELS - 1, "[1,null,null,3]")),
            (nested(1000, "[]"), nested(LEVELS, "null")),
            (nested(LEVELS, r#"{"}":"\"]}\\"}"#), nested(LEVELS, "null")),
            (nested(LEVELS, r#""[[{\"[\\""#), nested(LEVELS, r#""[[{\"[\\""#)),
            (format!("{0}\n{0}\n", nested(LEVELS, "[]")), format!("{0}\n{0}\n", nested(LEVELS, "null"))),
        ] {
            assert_eq!(Cut::default().piece(text.as_bytes()), expected);
            let mut cut = Cut::default();
            let pieces: Vec<u8> = text.bytes().flat_map(|byte| cut.piece(&[byte])).collect();
            assert_eq!(pieces, expected.as_bytes(), "byte by byte");
        }
    }

    #[tokio::test]
    async fn a_platform_that_is_nested_too_deep_hides_no_other() {
        let platform = |name: &str, template: Value| {
            let app = json!({ "name": "web", "image": "web:1", "podTemplate": template });
            json!({ "metadata": { "name": name }, "spec": { "apps": [app] } })
        };
        let deep = (0..1000).fold(json!({}), |inner, _| json!({ "a": inner }));
        let items = [platform("deep", deep.clone()), platform("other", json!({}))];
        let list = json!({ "metadata": { "resourceVersion": "1" }, "items": items }).to_string();
        let event = json!({ "type": "ADDED", "object": platform("deep", deep) }).to_string();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let watch = request.uri().query().is_some_and(|q| q.contains("watch=true"));
            let answer = if watch { format!("{event}\n") } else { list.clone() };
            async { Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::from(answer))) }
        });
        let plain = Client::new(service, "learning");

        type Guarded = DeserializeGuard<LearningPlatform>;
        let api: Api<Guarded> = Api::all(plain.clone());
        assert!(api.list(&ListParams::default()).await.is_err(), "the parser follows: nothing need be cut any more");
        let api: Api<Guarded> = Api::all(client(plain));
        let names: Vec<String> =
            api.list(&ListParams::default()).await.unwrap().items.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, ["deep", "other"]);
        let events = api.watch(&Default::default(), "1").await.unwrap();
        let events: Vec<WatchEvent<Guarded>> = futures::TryStreamExt::try_collect(events).await.unwrap();
        assert!(matches!(&events[..], [WatchEvent::Added(found)] if found.name_any() == "deep"), "{events:?}");
    }
}
