#!/usr/bin/env bash
# Builds the image: with Docker where its engine runs, otherwise with buildah, from the last stage of the Dockerfile and files that the host builds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ $# = 2 ]] || { echo "usage: packaging/build-image.sh NAME amd64|arm64" >&2; exit 2; }
name=$1 arch=$2

if docker info > /dev/null 2>&1 && docker buildx version > /dev/null 2>&1; then
  docker buildx build --platform "linux/$arch" --tag "$name" --load .
elif command -v buildah > /dev/null; then
  files=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/image-files/$arch
  packaging/image-files.sh "$arch" "$files"
  # This context takes the place of the stage `files`, so that buildah runs no other stage and pulls no base image.
  buildah build --platform "linux/$arch" --build-context "files=$files" --tag "$name" .
  echo "image: $name, $(du --apparent-size --summarize --block-size=kB "$files" | cut -f 1); its software bill of materials is in $files/usr/share/sbom"
else
  echo "image: install buildah, or start a Docker engine with buildx" >&2
  exit 1
fi
