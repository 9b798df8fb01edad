//! Compiles the C half of `shim.rs` against the headers of the libjpeg that mozjpeg-sys builds.

#![allow(clippy::disallowed_methods)] // A build script is told by its environment.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/shim.c");
    // mozjpeg-sys tells it, whose `links` is "jpeg".
    let headers = env::var_os("DEP_JPEG_INCLUDE").expect("mozjpeg-sys says where its headers are");
    cc::Build::new()
        .includes(env::split_paths(&headers))
        // Headers that are not ours to mend.
        .flag_if_supported("-Wno-unused-parameter")
        .file("src/shim.c")
        .compile("mixfeed_jpeg_shim");
}
