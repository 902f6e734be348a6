# The image of the operator.
#   docker build --tag learningplatform/operator:dev .

FROM rust:1.95-bookworm AS build
# The toolchain of the image as it is, without the components that rust-toolchain.toml adds for developers.
ENV RUSTUP_TOOLCHAIN=1.95.0
# aws-lc, the one cryptographic library, is built from C.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package learningplatform-operator --bin learningplatform-operator \
    && cp target/release/learningplatform-operator /learningplatform-operator

FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="learningplatform-operator" \
      org.opencontainers.image.description="Runs learning platforms on Kubernetes and scales them on request rate and latency" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /learningplatform-operator /learningplatform-operator
COPY LICENSE /LICENSE
# By number: runAsNonRoot cannot tell whether a name is root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/learningplatform-operator"]
