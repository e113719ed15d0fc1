#!/bin/sh
# Run the Python tests that cross the boundary to C under a tool that checks every memory access of the extension.
#
#   sanitize.sh asan|valgrind python [pytest arguments]
#
# The extension under test is imported from a copy of the package in cargo's target directory, so that the one of
# `make develop` remains. mimalloc is off, so that the tool observes each allocation.
set -eu
tool=$1 python=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
triple=$(rustc -vV | sed -n 's/^host: //p')
if [ "$tool" = asan ]; then
  # A stable compiler accepts the flag with RUSTC_BOOTSTRAP. `--target` excludes build scripts and macros from it.
  RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo build -q --profile fastdev -p data-bridge-python \
    --no-default-features --target "$triple" --target-dir "$target/asan"
  library=$target/asan/$triple/fastdev/lib_core.so
else
  cargo build -q --profile fastdev -p data-bridge-python --no-default-features
  library=$target/fastdev/lib_core.so
fi
package=$target/$tool-package
rm -rf "$package"
mkdir -p "$package"
cp -r "$root/python/data_bridge" "$package/"
rm -f "$package"/data_bridge/_core.*.so
cp "$library" "$package/data_bridge/_core$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')"
export PYTHONPATH="$package" PYTHONSAFEPATH=1 PYTHONMALLOC=malloc
# jemalloc and mimalloc of pyarrow would hide its buffers from the tool.
export ARROW_DEFAULT_MEMORY_POOL=system DATA_BRIDGE_SANITIZED=$tool
cd "$root"
if [ "$tool" = asan ]; then
  # Leak checks are off: Python never frees interned objects. C++ exceptions in pyarrow, polars and DuckDB bypass the interceptors.
  export ASAN_OPTIONS=detect_leaks=0:halt_on_error=1:abort_on_error=1:detect_odr_violation=0
  # libstdc++ too, so that the interceptor of __cxa_throw finds the real one when a C++ library is loaded later.
  exec env LD_PRELOAD="$(cc -print-file-name=libasan.so) $(cc -print-file-name=libstdc++.so.6)" \
    "$python" -m pytest -p no:cacheprovider "$@"
fi
exec valgrind --quiet --error-exitcode=99 --suppressions="$root/scripts/valgrind.supp" --leak-check=no \
  --undef-value-errors=no --fair-sched=yes "$python" -m pytest -p no:cacheprovider "$@"
