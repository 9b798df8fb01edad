//! `healthcheck`: asks a loader whether it is ready.

use super::failure::Failure;
use crate::config::HealthcheckArgs;
use mixfeed_client::{with_remedy, with_token_remedy};
use mixfeed_ops::exit;
use mixfeed_ops::grpc::{CredentialFiles, Credentials, root_cause};
use mixfeed_ops::println;
use std::error::Error as _;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

pub(super) fn run(args: &HealthcheckArgs) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)?;
    let files = CredentialFiles {
        tls_ca: args.tls_ca.clone(),
        tls_cert: args.tls_cert.clone(),
        tls_key: args.tls_key.clone(),
        auth_token: args.auth_token_file.clone(),
    };
    let credentials = files.read().map_err(Failure::usage)?;
    let timeout = std::time::Duration::from(args.timeout);
    let unready = |reason: String| Failure::new(exit::FAILURE, format!("{}: {reason}", args.address));
    let answer =
        runtime.block_on(async { tokio::time::timeout(timeout, ask(&args.address, &credentials)).await });
    match answer {
        Err(_elapsed) => Err(unready(format!("no answer within {timeout:?}"))),
        Ok(Err(reason)) => Err(unready(reason)),
        Ok(Ok(ServingStatus::Serving)) => {
            println!("ready");
            Ok(())
        }
        Ok(Ok(status)) => Err(unready(format!("not ready ({})", status.as_str_name()))),
    }
}

async fn ask(address: &str, credentials: &Credentials) -> Result<ServingStatus, String> {
    let explained = |cause| with_remedy(cause, credentials.tls.is_some());
    let channel = credentials.endpoint(address)?.connect().await;
    let channel = channel.map_err(|error| format!("cannot connect: {}", explained(root_cause(&error))))?;
    let request = HealthCheckRequest { service: crate::server::SERVICE.into() };
    let response = HealthClient::with_interceptor(channel, credentials.bearer()?)
        .check(request)
        .await
        .map_err(|status| match status.source() {
            _ if status.code() == tonic::Code::Unauthenticated => {
                with_token_remedy(status.message(), "loader", credentials.token.is_some())
            }
            Some(cause) => explained(format!("{}: {}", status.message(), root_cause(cause))),
            None => status.message().to_owned(),
        })?;
    Ok(response.into_inner().status())
}
