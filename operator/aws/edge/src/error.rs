//! What the SDK says went wrong, as [`aws::Error`]. One mapping for all services: their codes are told apart by
//! [`aws::Class::of`].

use aws::Error;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error as StdError;

/// The code of our own for a request that could not be signed: nothing was sent.
pub const NO_CREDENTIALS: &str = "NoCredentials";

/// Codes of STS, and words of the SDK, that do not go away by themselves. Others, as a timeout of STS, do.
const NO_RIGHT: [&str; 6] = [
    "AccessDenied",
    "ExpiredToken",
    "InvalidIdentityToken",
    "IDPRejectedClaim",
    "InvalidClientTokenId",
    "ValidationError",
];

/// What is told of an error of this operation.
pub fn told<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    if let Some(service) = error.as_service_error()
        && let Some(code) = service.code()
    {
        let message = service.message().unwrap_or("AWS says no more").to_owned();
        return Error { operation, code: Some(code.to_owned()), status, message };
    }
    let causes: Vec<&(dyn StdError + 'static)> = causes(error).collect();
    let words: Vec<String> = causes.iter().map(ToString::to_string).collect();
    let code = causes.iter().find_map(|cause| cause.downcast_ref::<CredentialsError>()).and_then(|credentials| {
        let lasting = match credentials {
            CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => true,
            _ => NO_RIGHT.iter().any(|word| words.iter().any(|words| words.contains(word))),
        };
        lasting.then(|| NO_CREDENTIALS.to_owned())
    });
    Error { operation, code, status, message: words.join(": ") }
}

/// An error and what it comes from.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
