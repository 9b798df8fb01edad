//! What to say when a loader does not understand a spec: it is of another release, and what to do about it.
//!
//! A loader computes the digest from the fields that it knows, so all that it can tell is that the digests differ. What it
//! said of itself in `Describe` tells why. Nothing is refused by its release: replicas of several releases serve any
//! stream that all of them understand.

/// This client's release. All crates share one.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// What a loader's message begins with whose digest of the spec is another.
const SPEC_DIGEST: &str = "spec_digest";

/// What a refusal means that is of a spec which the loader does not understand; none for any other.
pub(crate) fn explain(refusal: &str, release: &str) -> Option<String> {
    refusal.starts_with(SPEC_DIGEST).then(|| said(release, OWN))
}

fn said(release: &str, own: &str) -> String {
    let age = match (numbers(release), numbers(own)) {
        (Some(loader), Some(client)) if loader < client => {
            return format!(
                "the spec has a field that it does not know: its release {release} is older than this client's, {own}; update \
                 the loader, or leave out the setting that came later"
            );
        }
        (Some(loader), Some(client)) if loader > client => ", newer than",
        (Some(_), Some(_)) => " as",
        _ => ", another than",
    };
    format!(
        "it understands the spec otherwise: its release is {release}{age} this client's, {own}; use one build for both, or \
         leave out the settings that only one of them knows"
    )
}

/// The numbers of a release, as in "0.1.0".
fn numbers(release: &str) -> Option<[u64; 3]> {
    let mut parts = release.split('.').map(|part| part.parse().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_that_is_older_is_told_from_one_that_is_newer_or_the_same() {
        for (release, expected) in [
            ("0.9.12", "its release 0.9.12 is older than this client's, 0.10.0; update the loader"),
            ("0.10.1", "its release is 0.10.1, newer than this client's, 0.10.0; use one build for both"),
            ("0.10.0", "its release is 0.10.0 as this client's, 0.10.0; use one build"),
            ("own-build", "its release is own-build, another than this client's"),
        ] {
            let said = said(release, "0.10.0");
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn other_refusals_are_left_to_the_loaders_words() {
        assert_eq!(explain("spec.mixing.alpha: -1 is not allowed, 0 to 1000", "0.0.1"), None);
        assert!(explain("spec_digest: it is not the digest of the spec", "0.0.1").is_some());
    }
}
