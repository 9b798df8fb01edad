//! Compiles the `.proto` files with protox, so that no `protoc` is needed.

// Cargo tells build scripts where to write through the environment.
#![allow(clippy::disallowed_methods)]

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=mixfeed");
    // The descriptors that a loader shows are those of its own service.
    let loader = protox::compile(["mixfeed/v1/loader.proto"], ["."])?;
    let all = protox::compile(["mixfeed/v1/loader.proto", "mixfeed/v1/trainer.proto"], ["."])?;
    let out = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    std::fs::write(Path::new(&out).join("mixfeed.v1.bin"), prost_bytes(&loader))?;
    tonic_prost_build::configure()
        // Payloads are taken out of the received frame without a copy.
        .bytes(".mixfeed.v1.Batch")
        .bytes(".mixfeed.v1.BatchPart")
        .compile_fds(all)?;
    Ok(())
}

fn prost_bytes(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
