#!/bin/sh
# Runs the Python tests that cross the boundary to C under a tool that sees every access of the extension.
#
#   sanitize.sh asan|valgrind python [pytest arguments]
#
# The extension under test is imported from a copy of the package below cargo's target directory: the one that `make develop`
# made stays. mimalloc is off, so that each allocation is the tool's to watch.
set -eu
tool=$1 python=$2
shift 2
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
triple=$(rustc -vV | sed -n 's/^host: //p')
if [ "$tool" = asan ]; then
  # A stable compiler takes the flag with RUSTC_BOOTSTRAP. `--target` keeps it off build scripts and macros.
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
  # Leaks are off: Python keeps what it interns. Exceptions of C++ in pyarrow, polars and DuckDB go past the interceptors.
  export ASAN_OPTIONS=detect_leaks=0:halt_on_error=1:abort_on_error=1:detect_odr_violation=0
  # libstdc++ too, or the interceptor of __cxa_throw finds no real one when a C++ library comes later.
  exec env LD_PRELOAD="$(cc -print-file-name=libasan.so) $(cc -print-file-name=libstdc++.so.6)" \
    "$python" -m pytest -p no:cacheprovider "$@"
fi
exec valgrind --quiet --error-exitcode=99 --suppressions="$root/scripts/valgrind.supp" --leak-check=no \
  --undef-value-errors=no --fair-sched=yes "$python" -m pytest -p no:cacheprovider "$@"
