# One image with all programs: `albeit` (the default command), `albeit-backend`, and the
# timeout lab, `albeit-load` and `albeit-lab`. Built with BuildKit, which keeps the crates and
# the compiled dependencies between builds. How to run it: docs/docker.md.

FROM rust:1.95.0-bookworm AS builder

# cmake is for the cryptography library; the compiler is in the base image.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY proxy proxy
COPY backend backend
COPY tests tests

# The cache is no part of the image, so the programs are copied out of it here.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --release --package albeit-proxy --package albeit-backend --package albeit-load \
    && install -D --target-directory=/out \
        target/release/albeit target/release/albeit-backend target/release/albeit-load


FROM debian:12.13-slim

LABEL org.opencontainers.image.title="albeit" \
      org.opencontainers.image.description="A load balancer that behaves like an AWS ALB, and a STOMP WebSocket backend" \
      org.opencontainers.image.licenses="Apache-2.0"

# The account is given by number so that `runAsNonRoot` can be checked. A named volume that is
# first mounted on one of these directories takes over its owner.
RUN groupadd --system --gid 10001 albeit \
    && useradd --system --uid 10001 --gid albeit --no-create-home --shell /usr/sbin/nologin albeit \
    && install --directory --owner=albeit --group=albeit --mode=0750 /etc/albeit/certs \
    && install --directory --owner=albeit --group=albeit --mode=0755 /results \
        /run/secrets/admin /run/secrets/redis /run/secrets/db /run/secrets/db-root /run/secrets/grafana

COPY docker/healthcheck docker/setup docker/backend-entrypoint scripts/albeit-lab /usr/local/bin/
COPY --from=builder /out/ /usr/local/bin/
COPY conf /etc/albeit/conf

USER 10001:10001
WORKDIR /etc/albeit

# HTTPS, HTTP, admin API of conf/compose.yaml.
EXPOSE 8443 8080 9901

# Both programs drain at SIGTERM and end with status 0.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=2s --start-period=10s --retries=3 CMD ["healthcheck", "9901", "/healthz"]
CMD ["albeit", "run", "--config", "/etc/albeit/conf/compose.yaml"]
