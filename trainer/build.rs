//! Compiles the C++ half of `shim.rs`, and tells the linker where the trainer finds libtorch at run time.
//!
//! The path is relative to the executable, so that a checkout may be moved, and written with new
//! dtags (DT_RUNPATH), so that LD_LIBRARY_PATH wins: that is how a CUDA build of libtorch takes the
//! place of the one it was linked with.

// A build script speaks to cargo through these.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::env;
use std::path::{Component, Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // torch-sys says where it found libtorch; not in `cargo doc` for docs.rs and the like.
    let Some(libraries) = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else { return };
    compile_shim(&libraries);
    let libraries = libraries.canonicalize().unwrap_or(libraries);
    let (origin, new_dtags) = match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux") => ("$ORIGIN", true),
        Ok("macos") => ("@loader_path", false),
        _ => return,
    };
    if new_dtags {
        println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags");
    }
    match relative_to_profile(&libraries) {
        // Binaries lie in the profile's folder, tests and examples one below.
        Some(path) => {
            println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}/{}", path.display());
            println!("cargo:rustc-link-arg=-Wl,-rpath,{origin}/../{}", path.display());
        }
        None => println!("cargo:rustc-link-arg=-Wl,-rpath,{}", libraries.display()),
    }
}

/// With the headers that lie beside the libraries, or where torch-sys was told that they are.
fn compile_shim(libraries: &Path) {
    println!("cargo:rerun-if-changed=src/machine/shim");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    let around = env::var_os("LIBTORCH_INCLUDE").map(PathBuf::from);
    let headers =
        around.unwrap_or_else(|| libraries.parent().unwrap_or(libraries).to_owned()).join("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .include(&headers)
        .include(headers.join("torch/csrc/api/include"))
        // libtorch's headers are not ours to mend, and its debug assertions would slow every step.
        .warnings(false)
        .opt_level(1)
        .define("NDEBUG", None)
        // What c10d's headers hide without it; libtorch itself has it.
        .define("USE_C10D_GLOO", None)
        .include("src/machine/shim/gloo")
        .file("src/machine/shim/shim.cpp")
        .file("src/machine/shim/process_group.cpp")
        .compile("mixfeed_shim");
}

/// The way from `target/<profile>` to `libraries`, if both lie in this checkout; a libtorch of the
/// user's own stays where it is when the checkout moves.
fn relative_to_profile(libraries: &Path) -> Option<PathBuf> {
    let checkout = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?).parent()?.canonicalize().ok()?;
    let output = PathBuf::from(env::var_os("OUT_DIR")?).canonicalize().ok()?;
    let profile = output.ancestors().find(|path| path.ends_with("build"))?.parent()?;
    let up = profile.strip_prefix(&checkout).ok()?;
    let down = libraries.strip_prefix(&checkout).ok()?;
    Some(up.components().map(|_| Component::ParentDir).chain(down.components()).collect())
}
