//! `healthcheck`: asks a loader whether it is ready.

use super::Failure;
use crate::config::HealthcheckArgs;
use mixfeed_ops::exit;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

pub(super) fn run(args: &HealthcheckArgs) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)?;
    let timeout = std::time::Duration::from(args.timeout);
    let unready = |reason: String| Failure::new(exit::FAILURE, format!("{}: {reason}", args.address));
    let answer = runtime.block_on(async { tokio::time::timeout(timeout, ask(&args.address)).await });
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

async fn ask(address: &str) -> Result<ServingStatus, String> {
    // tonic reads unix:///path as it stands.
    let uri = if address.starts_with("unix:") { address.to_string() } else { format!("http://{address}") };
    let endpoint =
        Endpoint::from_shared(uri).map_err(|_invalid| "expected host:port or unix:///path".to_string())?;
    let channel = endpoint.connect().await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        format!("cannot connect: {cause}")
    })?;
    let request = HealthCheckRequest { service: crate::server::SERVICE.into() };
    let response =
        HealthClient::new(channel).check(request).await.map_err(|status| status.message().to_string())?;
    Ok(response.into_inner().status())
}
