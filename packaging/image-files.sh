#!/usr/bin/env bash
# Writes the files of the image to a folder: the static binary, its software bill of materials, and the public certificate authorities.
# Both ways to build the image use it: the stage `files` of the Dockerfile, and `make image` on a host without a Docker engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ $# = 2 ]] || { echo "usage: packaging/image-files.sh amd64|arm64 FOLDER" >&2; exit 2; }
case $1 in
  amd64) machine=x86_64 ;;
  arm64) machine=aarch64 ;;
  *) echo "image-files: no recipe for the architecture $1: use amd64 or arm64" >&2; exit 2 ;;
esac
folder=$2
target=$machine-unknown-linux-musl

# The versions of the tools. `cargo install` builds each once per machine, beside what devenv keeps.
tools=${XDG_CACHE_HOME:-$HOME/.cache}/tarana-devenv
install_tool() {
  local root=$tools/$1-$2
  # In a target folder of its own: the caller's CARGO_TARGET_DIR may be a shared one.
  [[ -x $root/bin/$1 ]] || CARGO_TARGET_DIR=$root/target cargo install --quiet --locked --root "$root" --version "$2" "$1"
  rm -rf "$root/target"
  PATH=$root/bin:$PATH
}
install_tool cargo-auditable 0.7.7
install_tool cargo-cyclonedx 0.5.9

# The C code (cryptography, allocator) is compiled against the headers of musl. Debian's `musl-gcc` does that for the host's own architecture; for
# another one, the cross compiler is pointed to them (packages gcc-aarch64-linux-gnu or gcc-x86-64-linux-gnu, and musl-dev of that architecture).
variable=${target//-/_}
if [[ $machine = "$(uname -m)" ]]; then
  compiler=musl-gcc
else
  compiler=$machine-linux-gnu-gcc
fi
command -v "$compiler" > /dev/null || {
  echo "image-files: $compiler is missing: install musl-tools, or for another architecture gcc-${machine//_/-}-linux-gnu and musl-dev:$1" >&2
  exit 1
}
if [[ $compiler != musl-gcc ]]; then
  headers="-nostdinc -isystem /usr/include/$machine-linux-musl -isystem $("$compiler" -print-file-name=include)"
  export "CC_$variable=$compiler" "CFLAGS_$variable=$headers" "CARGO_TARGET_${variable^^}_LINKER=$compiler"
fi
rustup target list --installed | grep -qx "$target" || rustup target add "$target"

# `cargo auditable` adds the list of dependencies to the binary, where scanners of vulnerabilities find it.
cargo auditable build --profile image --locked --target "$target" --package tarana-operator --bin tarana-operator
built=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/$target/image

# What is linked for this target, without the dependencies of tests and of the build.
sbom=tarana-operator.cdx
trap 'rm -f "$sbom.json" "devenv/$sbom.json"' EXIT
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0} cargo cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps \
  --target "$target" --override-filename "$sbom"

# The file must not depend on the folder in which it was built.
sed -i "s|path+file://$PWD#|path+file:///tarana-operator#|g" "$sbom.json"

packaging/lay-out.sh "$built/tarana-operator" "$sbom.json" "$folder"
