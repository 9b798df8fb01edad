//! Compiles the C half of `shim.rs`, and an inverse transform, against the headers of the libjpeg that mozjpeg-sys builds.

#![allow(clippy::disallowed_methods)] // A build script is told by its environment.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for file in ["idct.c", "idct.h", "shim.c"] {
        println!("cargo::rerun-if-changed=src/{file}");
    }
    // mozjpeg-sys tells it, whose `links` is "jpeg".
    let headers = env::var_os("DEP_JPEG_INCLUDE").expect("mozjpeg-sys says where its headers are");
    cc::Build::new()
        .includes(env::split_paths(&headers))
        // Headers that are not ours to mend.
        .flag_if_supported("-Wno-unused-parameter")
        .files(["src/idct.c", "src/shim.c"])
        .compile("mixfeed_jpeg_shim");
}
