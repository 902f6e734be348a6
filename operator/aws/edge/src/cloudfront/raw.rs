//! Bodies as they are on the wire. CloudFront replaces what it is sent, so what was read has to be sent back whole, and the SDK's
//! types hold no more than their version knows. Signing, credentials, endpoint, repetition and errors stay the SDK's: the body of
//! an answer is taken once it is read, and that of a request is set before each attempt is signed.

use aws::{Error, cloudfront::Element};
use aws_sdk_cloudfront::config::{
    ConfigBag, Intercept, RuntimeComponents, interceptors::AfterDeserializationInterceptorContextRef,
};
use aws_smithy_runtime_api::{box_error::BoxError, client::orchestrator::HttpRequest};
use aws_smithy_types::body::SdkBody;
use parking_lot::Mutex;
use std::{fmt, sync::Arc};

/// The space of names of all documents, by AWS's service model.
const SPACE: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";

/// Keeps the body of the last answer.
#[derive(Clone, Default)]
pub(super) struct Answer(Arc<Mutex<Vec<u8>>>);

// Headers that only an origin may know are in it, and the SDK prints what intercepts its requests.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

impl Intercept for Answer {
    fn name(&self) -> &'static str {
        "Answer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock() = context.response().body().bytes().unwrap_or_default().to_vec();
        Ok(())
    }
}

impl Answer {
    /// The document.
    pub fn document(&self, operation: &'static str) -> Result<Element, Error> {
        let unreadable = |message| Error { operation, code: None, status: None, message };
        let body = self.0.lock();
        let text = std::str::from_utf8(&body).map_err(|error| unreadable(error.to_string()))?;
        Element::parse(text).map_err(|error| unreadable(error.to_string()))
    }
}

/// Lets requests bear a document.
pub(super) fn bearing(document: &Element) -> impl Fn(&mut HttpRequest) + Send + Sync + use<> {
    let bare = document.to_xml();
    let begin = format!("<{}>", document.name);
    let body = match bare.strip_prefix(&begin) {
        Some(rest) => format!(r#"<{} xmlns="{SPACE}">{rest}"#, document.name),
        None => bare,
    };
    move |request| {
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body.as_str());
    }
}
