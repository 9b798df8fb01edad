#!/bin/sh
# Called by mmdebstrap with the root of the builder base: adds what Debian's packages lack, which is a
# Rust that is new enough (the one of this machine) and the crates (those that cargo has fetched here),
# so that an image is built without any network.
set -eu
root=$1

mkdir -p "$root/tmp"
chmod 1777 "$root/tmp"
# Links that packages make when they are installed; these are only unpacked.
ln -s gcc "$root/usr/bin/cc"
ln -s g++ "$root/usr/bin/c++"

host=$("$SYSROOT/bin/rustc" -vV | sed -n 's/^host: //p')
mkdir -p "$root/opt/rust/bin" "$root/opt/rust/lib/rustlib"
cp -a "$SYSROOT/bin/cargo" "$SYSROOT/bin/rustc" "$root/opt/rust/bin/"
cp -a "$SYSROOT"/lib/*.so* "$root/opt/rust/lib/"
cp -a "$SYSROOT/lib/rustlib/$host" "$root/opt/rust/lib/rustlib/"

mkdir -p "$root/opt/cargo/registry"
cp -a "$CARGO_FOLDER/registry/cache" "$CARGO_FOLDER/registry/index" "$root/opt/cargo/registry/"
# Where crates come from decides under which name they are found.
for config in config.toml config; do
    [ ! -f "$CARGO_FOLDER/$config" ] || cp "$CARGO_FOLDER/$config" "$root/opt/cargo/"
done
