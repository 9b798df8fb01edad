//! Who may watch and end a training, where it listens at all.

use super::{Settings, UsageError};
use mixfeed_ops::grpc::{Access, Reach};

/// What the names of these settings begin with, as flags.
const FLAGS: &str = "--listen-";

/// Takes the settings that say it; an error where they contradict each other, or where it listens.
pub(super) fn check(settings: &Settings) -> Result<Access, UsageError> {
    let access = Access {
        tls_cert: settings.listen_tls_cert.clone(),
        tls_key: settings.listen_tls_key.clone(),
        tls_client_ca: settings.listen_tls_client_ca.clone(),
        auth_token_file: settings.listen_auth_token_file.clone(),
        require_auth: settings.listen_require_auth.unwrap_or_default(),
        ..Access::open(FLAGS)
    };
    match settings.listen {
        Some(address) => access.check(Reach::of(address)).map_err(UsageError)?,
        None if access != Access::open(FLAGS) => {
            let text = "who may watch is said, but not where: the flags --listen-… need --listen";
            return Err(UsageError(text.to_owned()));
        }
        None => {}
    }
    Ok(access)
}
