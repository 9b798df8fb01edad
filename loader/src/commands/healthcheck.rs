//! `healthcheck`: asks a loader whether it is ready.

use super::Failure;
use crate::config::HealthcheckArgs;
use mixfeed_ops::exit;
use mixfeed_ops::grpc::{CredentialFiles, Credentials};
use mixfeed_ops::println;
use tonic::Request;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
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
        runtime.block_on(async { tokio::time::timeout(timeout, ask(&args.address, credentials)).await });
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

async fn ask(address: &str, credentials: Credentials) -> Result<ServingStatus, String> {
    let cause = |error: tonic::transport::Error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        cause.to_string()
    };
    let unix = address.starts_with("unix:");
    let tls = credentials.tls.filter(|_| !unix);
    let uri = match &tls {
        // tonic reads unix:///path as it stands.
        _ if unix => address.to_string(),
        Some(_) => format!("https://{address}"),
        None => format!("http://{address}"),
    };
    let mut endpoint =
        Endpoint::from_shared(uri).map_err(|_invalid| "expected host:port or unix:///path".to_string())?;
    if let Some(tls) = tls {
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(tls.ca));
        if let Some((certificate, key)) = tls.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        endpoint = endpoint.tls_config(config).map_err(cause)?;
    }
    let channel = endpoint.connect().await.map_err(|error| format!("cannot connect: {}", cause(error)))?;
    let mut request = Request::new(HealthCheckRequest { service: crate::server::SERVICE.into() });
    if let Some(token) = credentials.token {
        let mut header: tonic::metadata::MetadataValue<_> =
            token.header().parse().map_err(|_never| "the token is no header".to_string())?;
        header.set_sensitive(true);
        request.metadata_mut().insert("authorization", header);
    }
    let response =
        HealthClient::new(channel).check(request).await.map_err(|status| status.message().to_string())?;
    Ok(response.into_inner().status())
}
