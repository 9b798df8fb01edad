//! From the endpoints that a user gave to the addresses of replicas, again and again.
//!
//! `host:port` and `unix:///path` are one replica each, for good. A `dns:///` name is looked up every few
//! seconds; what it yields is only ever a hint. A failing, empty or stale answer never ends a
//! stream that works: the roster forgets an address that is gone once its stream has ended.

use crate::endpoint::{Endpoint, Kind};
use crate::transport::Target;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What a look-up found for the endpoint at `position` of the user's list.
#[derive(Debug)]
pub(crate) struct Resolution {
    pub(crate) position: usize,
    pub(crate) targets: Result<Vec<Target>, String>,
}

/// The replicas that need no look-up, and the endpoints that do.
pub(crate) fn fixed(endpoints: &[Endpoint]) -> Vec<(usize, Target)> {
    let target = |endpoint: &Endpoint| match endpoint.kind() {
        Kind::Host(host) => Some(Target::Host(host.clone())),
        Kind::Unix(path) => Some(Target::Unix(path.clone())),
        Kind::Dns(_) => None,
    };
    endpoints.iter().enumerate().filter_map(|(position, e)| Some((position, target(e)?))).collect()
}

/// Starts one task per name that is looked up, and returns how many there are.
pub(crate) fn start(
    endpoints: &[Endpoint],
    interval: Duration,
    tasks: &mut JoinSet<()>,
    found: &mpsc::Sender<Resolution>,
) -> usize {
    let mut names = 0;
    for (position, endpoint) in endpoints.iter().enumerate() {
        if let Kind::Dns(name) = endpoint.kind() {
            tasks.spawn(watch(position, name.clone(), interval, found.clone()));
            names += 1;
        }
    }
    names
}

async fn watch(position: usize, name: String, interval: Duration, found: mpsc::Sender<Resolution>) {
    loop {
        let targets = look_up(&name, interval.max(Duration::from_secs(5))).await;
        if found.send(Resolution { position, targets }).await.is_err() {
            return;
        }
        tokio::time::sleep(interval).await;
    }
}

async fn look_up(name: &str, timeout: Duration) -> Result<Vec<Target>, String> {
    let addresses = tokio::time::timeout(timeout, tokio::net::lookup_host(name))
        .await
        .map_err(|_elapsed| format!("no answer to the look-up of {name} within {timeout:?}"))?
        .map_err(|error| format!("{name} cannot be looked up: {error}"))?;
    // Sorted, so that the order in which a name server rotates its answer does not matter.
    let mut targets: Vec<_> = addresses.map(|address| Target::Named(address, name.to_owned())).collect();
    targets.sort();
    targets.dedup();
    if targets.is_empty() { Err(format!("{name} has no address")) } else { Ok(targets) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_yields_its_addresses_in_one_order() {
        let targets = look_up("localhost:4711", Duration::from_secs(5)).await.unwrap();
        assert!(
            targets.contains(&Target::Named("127.0.0.1:4711".parse().unwrap(), "localhost:4711".to_owned())),
            "{targets:?}"
        );
        assert!(targets.is_sorted());
    }

    #[tokio::test]
    async fn a_name_without_address_is_an_answer_that_names_it() {
        let error = look_up("no-such-host.invalid:1", Duration::from_secs(5)).await.unwrap_err();
        assert!(error.contains("no-such-host.invalid"), "{error}");
    }
}
