# syntax=docker/dockerfile:1
# `docker build .` runs every stage. `make image` without a Docker engine runs the last one with buildah, on files that the host built.

# Writes ui/dist, which build.rs embeds.
FROM --platform=$BUILDPLATFORM node:20-bookworm-slim AS ui
WORKDIR /work
COPY ui .
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && node build.mjs

# Compiles on the builder's own architecture for that of the image, because emulating another processor would take hours.
FROM --platform=$BUILDPLATFORM rust:1.95-slim-bookworm AS build
ARG BUILDARCH
ARG TARGETARCH
# Another architecture needs its cross compiler and its headers of musl.
RUN if [ "$BUILDARCH" != "$TARGETARCH" ]; then \
      case "$TARGETARCH" in amd64) compiler=gcc-x86-64-linux-gnu ;; arm64) compiler=gcc-aarch64-linux-gnu ;; esac; \
      dpkg --add-architecture "$TARGETARCH" && cross="$compiler musl-dev:$TARGETARCH"; \
    fi \
    && apt-get update -q && apt-get install -y -q --no-install-recommends ca-certificates musl-tools $cross
WORKDIR /work
# The image already has the toolchain. Without this, rust-toolchain.toml would download it again, with clippy.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
COPY --from=ui /work/dist ui/dist
# The cache mounts are not part of the image. One for each architecture, because cargo locks the folder.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/root/.cache/tarana-devenv,id=tools-$BUILDARCH,sharing=locked \
    --mount=type=cache,target=/work/target,id=target-$TARGETARCH,sharing=locked \
    packaging/image-files.sh "$TARGETARCH" /files

FROM scratch AS files
COPY --from=build /files /

# Contains no shell, no package manager and no C library. Time zones are part of the binary.
FROM scratch
LABEL org.opencontainers.image.title="tarana-operator" \
      org.opencontainers.image.description="Keeps a PostgreSQL table of base stations in sync with the Tarana Cloud Suite" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=files / /
# The allocator returns freed memory at once, not when it is called again, which an idle operator rarely does. It uses no huge pages, which stay
# resident as long as any part of them is in use.
ENV MIMALLOC_PURGE_DELAY=0 MIMALLOC_ALLOW_THP=0
# Numeric, so that Kubernetes can verify runAsNonRoot.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/tarana-operator"]
CMD ["run"]
