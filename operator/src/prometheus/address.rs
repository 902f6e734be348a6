//! Which addresses a resource may name. Pure.

use reqwest::Url;

/// The address of a server that a resource names, checked and without a slash at its end.
///
/// `allowed` are the beginnings of addresses that the operator's settings permit; none means any. They are compared part
/// by part (scheme, host, port, each segment of the path), so that `http://prom.monitoring` does not permit
/// `http://prom.monitoring.example.com`.
///
/// # Errors
/// What is wrong with the address, naming the setting where that refuses it. The message repeats no more of it than scheme, host and port.
pub fn checked(url: &str, allowed: &[String]) -> Result<String, String> {
    let parsed = parsed(url)?;
    if allowed.is_empty() || allowed.iter().any(|prefix| permits(prefix, &parsed)) {
        return Ok(parsed.as_str().trim_end_matches('/').to_owned());
    }
    let origin = origin(&parsed);
    Err(format!(
        "the operator's setting --allowed-prometheus-url does not permit {origin}: ask for it to be added, or name a permitted server"
    ))
}

/// As much of an address as messages repeat: scheme, host and port. None of one that [`checked`] refuses for its form.
pub fn told(url: &str) -> Option<String> {
    parsed(url).ok().as_ref().map(origin)
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn parsed(url: &str) -> Result<Url, String> {
    let parsed = Url::parse(url)
        .map_err(|error| format!("url is not an address: {error}; write it as http://prometheus.monitoring:9090"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err("url must begin with http:// or https:// and name a host".to_owned());
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("url must not hold a user name or password: use auth".to_owned());
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("url must end with its path: remove what follows '?' or '#'".to_owned());
    }
    // A server may decode what the comparison below takes for one segment, `..%2f` for instance.
    if parsed.path().contains('%') {
        return Err("url must not hold '%' in its path".to_owned());
    }
    Ok(parsed)
}

fn permits(prefix: &str, url: &Url) -> bool {
    let Ok(prefix) = parsed(prefix) else { return false };
    let segments = |url: &Url| url.path().trim_end_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
    prefix.scheme() == url.scheme()
        && prefix.host_str() == url.host_str()
        && prefix.port_or_known_default() == url.port_or_known_default()
        && segments(url).starts_with(&segments(&prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_part_by_part() {
        let allowed = ["http://prom.monitoring:9090/team".to_owned(), "https://thanos.example.com".to_owned()];
        let table = [
            ("http://prom.monitoring:9090/team", true),
            ("http://prom.monitoring:9090/team/", true),
            ("http://prom.monitoring:9090/team/a", true),
            ("http://PROM.monitoring:9090/team", true),
            ("http://prom.monitoring:9090/teams", false),
            ("http://prom.monitoring:9090/", false),
            ("http://prom.monitoring:9090/team/../admin", false),
            ("http://prom.monitoring:9090/team/%2e%2e/admin", false),
            ("http://prom.monitoring:9090/team/..%2fadmin", false),
            ("http://prom.monitoring:90901/team", false),
            ("http://prom.monitoring/team", false),
            ("https://prom.monitoring:9090/team", false),
            ("http://prom.monitoring.evil.com:9090/team", false),
            ("http://prom.monitoring:9090@evil.com/team", false),
            ("https://thanos.example.com:443/any", true),
            ("https://thanos.example.com.evil.com", false),
            ("https://user:pw@thanos.example.com", false),
            ("https://thanos.example.com/?x=y", false),
            ("ftp://thanos.example.com", false),
            ("nonsense", false),
        ];
        for (url, permitted) in table {
            assert_eq!(checked(url, &allowed).is_ok(), permitted, "{url}");
        }
        assert_eq!(checked("http://any:1/x/", &[]).as_deref(), Ok("http://any:1/x"));
    }

    #[test]
    fn a_refusal_names_the_setting_and_no_secret() {
        let refusal = checked("http://other:9090/secret-path", &["http://a".to_owned()]).unwrap_err();
        assert!(refusal.contains("--allowed-prometheus-url") && refusal.contains("http://other:9090"), "{refusal}");
        assert!(!refusal.contains("secret-path"), "{refusal}");
        assert_eq!(told("http://other:9090/secret-path").as_deref(), Some("http://other:9090"));
        assert_eq!(told("http://user:secret@other:9090"), None);
    }
}
