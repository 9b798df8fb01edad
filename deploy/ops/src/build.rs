//! Which release this is, and from which commit it was built: the first lines of `--version`.

/// The release, as in "0.1.0". All crates share one.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The first twelve digits of the commit, or "unknown" when built outside a git checkout.
pub const COMMIT: &str = env!("MIXFEED_COMMIT");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_hexadecimal_or_unknown() {
        assert!(COMMIT == "unknown" || COMMIT.bytes().all(|b| b.is_ascii_hexdigit()), "{COMMIT}");
        assert!(RELEASE.split('.').count() == 3, "{RELEASE}");
    }
}
