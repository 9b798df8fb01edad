//! What to do about a connection that fails before anything was said on it: mostly TLS, of which libraries tell in the words
//! of their code, and the token.

/// What errors contain, in small letters, and what is to be done about them where TLS is spoken.
const WITH_TLS: [(&[&str], &str); 8] = [
    // An alert is what the other side says of ours.
    (
        &["received fatal alert: certificateexpired"],
        "--tls-cert has expired, or is not valid yet by the other side's clock: give a new one",
    ),
    (
        &["causedasendentity"],
        "that certificate is a CA's own, as `openssl req -x509` makes it: sign one for the server by it, or make it with \
         `-addext basicConstraints=critical,CA:FALSE`",
    ),
    (
        &["unsupportedcertversion"],
        "that is an X.509 version 1 certificate: sign one that has the server's name or address as subjectAltName",
    ),
    (
        &["not valid yet", "notvalidyet"],
        "its certificate is not valid yet: compare the clocks of both machines",
    ),
    (&["expired"], "its certificate has expired: sign a new one, and start it again"),
    (
        &["not valid for name", "notvalidforname"],
        "give the address as the certificate has it, or sign one that has this name or address as subjectAltName",
    ),
    (&["unknownissuer", "badsignature"], "no CA in --tls-ca has signed its certificate"),
    (
        &["certificaterequired", "received fatal alert", "connection closed", "operation was canceled"],
        "if it asks for a client certificate, give --tls-cert and --tls-key, signed by a CA that it trusts and not expired",
    ),
];

const NO_TLS: &str = "if it speaks no TLS, leave out --tls-ca; if it asks for a client certificate, give --tls-cert and --tls-key, \
                      signed by a CA that it trusts and not expired";
const TLS: &str = "if it speaks TLS, give --tls-ca";

/// The same where it is not spoken, or the other side does not: it ends the connection at once, or answers something else.
const PLAIN: [&str; 6] = [
    "http2 error",
    "h2 protocol error",
    "broken pipe",
    "reset by peer",
    "connection closed",
    "operation was canceled",
];

/// An error of connecting, or of the first call on a connection, with what is to be done about it where that is known.
///
/// ```
/// let said = mixfeed_client::with_remedy("invalid peer certificate: Expired".to_owned(), true);
/// assert_eq!(said, "invalid peer certificate: Expired: its certificate has expired: sign a new one, and start it again");
/// ```
#[must_use]
pub fn with_remedy(error: String, tls: bool) -> String {
    let small = error.to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| small.contains(sign));
    let known = WITH_TLS.iter().find(|(signs, _)| tls && has(signs)).map(|(_, remedy)| *remedy);
    match known.or_else(|| has(&PLAIN).then_some(if tls { NO_TLS } else { TLS })) {
        Some(remedy) => format!("{error}: {remedy}"),
        None => error,
    }
}

/// Whether [`with_remedy`] has said what to do, so that any other advice would contradict it.
#[must_use]
pub fn has_remedy(text: &str) -> bool {
    WITH_TLS.iter().map(|(_, remedy)| *remedy).chain([NO_TLS, TLS]).any(|remedy| text.contains(remedy))
}

/// What `whose` said of a missing or wrong token, with what is to be done about it; whether one is `given`.
#[must_use]
pub fn with_token_remedy(said: &str, whose: &str, given: bool) -> String {
    if given {
        format!("{said}: the token in --auth-token-file is not the {whose}'s")
    } else {
        format!("{said}: give --auth-token-file with the {whose}'s token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_certificate_is_ours_where_the_other_side_says_so() {
        let remedy = |error: &str| with_remedy(error.to_owned(), true);
        assert!(remedy("received fatal alert: CertificateExpired").contains(": --tls-cert has expired"));
        assert!(remedy("invalid peer certificate: Expired").contains(": its certificate has expired"));
        assert!(remedy("received fatal alert: UnknownCA").contains("signed by a CA that it trusts"));
        assert!(has_remedy(&remedy("received fatal alert: UnknownCA")) && !has_remedy(&remedy("dns error")));
    }
}
