# syntax=docker/dockerfile:1

# The Debian of both stages is the same one, since the binary is linked against the builder's glibc.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /work
# The image has the toolchain already; rust-toolchain.toml would download it, with clippy, once more.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
# What cargo keeps stays on the builder, so the binary is copied out in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/work/target \
    cargo build --release --locked --package tarana-operator --bin tarana-operator \
    && install -D --strip target/release/tarana-operator /out/tarana-operator

# glibc, the public certificate authorities and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="tarana-operator" \
      org.opencontainers.image.description="Keeps a PostgreSQL table of base stations true to the Tarana Cloud Suite" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/tarana-operator /usr/local/bin/tarana-operator
# By number, so that Kubernetes can prove runAsNonRoot.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/tarana-operator"]
CMD ["run"]
