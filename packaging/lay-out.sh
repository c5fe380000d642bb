#!/usr/bin/env bash
# Lays out the files of the image in a folder. The Dockerfile copies the folder; it names no file itself.
set -euo pipefail

[[ $# = 3 ]] || { echo "usage: packaging/lay-out.sh BINARY SBOM FOLDER" >&2; exit 2; }
binary=$1 sbom=$2 folder=$3
# The list of Mozilla that Debian's package ca-certificates installs. The client reads it at this path.
authorities=/etc/ssl/certs/ca-certificates.crt
[[ -s $authorities ]] || { echo "lay-out: $authorities is missing: install ca-certificates" >&2; exit 1; }

rm -rf "$folder"
install -D --mode 755 "$binary" "$folder/usr/local/bin/tarana-operator"
# Scanners such as Syft and Trivy read files with this ending.
install -D --mode 644 "$sbom" "$folder/usr/share/sbom/tarana-operator.cdx.json"
install -D --mode 644 "$authorities" "$folder$authorities"
