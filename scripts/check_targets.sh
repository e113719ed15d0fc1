#!/usr/bin/env bash
# Checks the crates for the platforms that the tests do not run on: `make targets`. The toolchain needs rustup.
#
# `cargo check` links nothing, but the build scripts of dependencies compile C for the target. Compilers for it are rarely
# installed, so programs that write empty files stand for them: what is checked is Rust.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TARGETS=(x86_64-pc-windows-msvc aarch64-apple-darwin x86_64-apple-darwin aarch64-unknown-linux-musl)
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

cat >"$tools/cc" <<'CC'
#!/bin/sh
while [ $# -gt 0 ]; do
    case "$1" in
        -o) shift; : >"$1" ;;
        [/-]Fo*) : >"${1#?Fo}" ;;
        --version) echo "clang version 16.0.0" ;;
    esac
    shift
done
CC
cat >"$tools/ar" <<'AR'
#!/bin/sh
for argument in "$@"; do
    case "$argument" in
        [/-]out:* | [/-]OUT:*) : >"${argument#*:}" ;;
        *.a | *.lib) : >"$argument" ;;
    esac
done
AR
chmod +x "$tools/cc" "$tools/ar"

export PYO3_CROSS=1 PYO3_CROSS_PYTHON_VERSION=3.12 PYO3_BUILD_EXTENSION_MODULE=1 RUSTFLAGS="-D warnings"
unset PYO3_PYTHON PYO3_ENVIRONMENT_SIGNATURE
for target in "${TARGETS[@]}"; do
    rustup target add "$target"
    echo "$target"
    name=${target//-/_}
    env "CC_$name=$tools/cc" "CXX_$name=$tools/cc" "AR_$name=$tools/ar" \
        cargo check --locked --manifest-path python/Cargo.toml --target "$target"
done
