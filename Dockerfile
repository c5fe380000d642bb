# syntax=docker/dockerfile:1

# Writes ui/dist, which build.rs embeds.
FROM node:20-bookworm-slim AS ui
WORKDIR /work
COPY ui .
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && node build.mjs

# The other stages use the same Debian release because the binary is linked against the builder's glibc.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /work
# The image already has the toolchain. Without this, rust-toolchain.toml would download it again, with clippy.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
COPY --from=ui /work/dist ui/dist
# The cache mounts are not part of the image, so the binary is copied out of them in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/work/target \
    cargo build --release --locked --package tarana-operator --bin tarana-operator \
    && install -D --strip target/release/tarana-operator /out/tarana-operator

# Contains glibc and the public certificate authorities, but no shell and no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="tarana-operator" \
      org.opencontainers.image.description="Keeps a PostgreSQL table of base stations in sync with the Tarana Cloud Suite" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/tarana-operator /usr/local/bin/tarana-operator
# Numeric, so that Kubernetes can verify runAsNonRoot.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/tarana-operator"]
CMD ["run"]
