//! Signature Version 4 as a server of AWS checks it, by AWS's documentation: of what arrives, and by nobody's library.

use super::web::header;
use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac::{HMAC_SHA256, Key, sign},
};

/// Whether a request with this head and body is signed with `key` for `scope`, `region/service`.
pub fn is_signed(head: &str, body: &[u8], key: &str, scope: &str) -> bool {
    expected(head, body, key, scope).is_some_and(|(expected, signature)| expected == signature)
}

/// The signature that the request should have, and the one that it has.
fn expected(head: &str, body: &[u8], key: &str, scope: &str) -> Option<(String, String)> {
    let authorization = header(head, "authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let part = |name: &str| authorization.split(',').find_map(|part| part.trim().strip_prefix(name));
    let (credential, names, signature) = (part("Credential=")?, part("SignedHeaders=")?, part("Signature=")?);
    if !names.split(';').any(|name| name == "host") || !names.split(';').any(|name| name == "x-amz-date") {
        return None;
    }
    let time = header(head, "x-amz-date")?;
    let date = time.get(..8)?;
    let scope = format!("{date}/{scope}/aws4_request");
    if credential.split_once('/')?.1 != scope {
        return None;
    }
    let mut line = head.lines().next()?.split(' ');
    let (method, target) = (line.next()?, line.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = String::new();
    for name in names.split(';') {
        headers.push_str(&format!("{name}:{}\n", header(head, name)?));
    }
    let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{}", sha256(body));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let derived = scope.split('/').fold(format!("AWS4{key}").into_bytes(), |key, part| mac(&key, part));
    Some((hex(&mac(&derived, &text)), signature.to_owned()))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
