# The gateway as an image: docker build --tag backstop .
#
# Two stages: the toolchain stays in the first, the second has the binary, root certificates and a configuration.
# tests/docker performs these steps, so keep to instructions that it knows.

FROM rust:1-slim-bookworm AS build
WORKDIR /build
# Line tables of the release profile are for profilers; without them the binary has a fifth of its size.
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo

# Dependencies are a layer of their own, built for an empty program: it lasts until a manifest changes. Cargo reads the
# manifest of every member of the workspace, also of those that are not built.
COPY Cargo.toml Cargo.lock ./
COPY bench/Cargo.toml bench/
COPY memory memory
RUN mkdir -p src bench/src && touch src/lib.rs && echo 'fn main() {}' | tee src/main.rs > bench/src/main.rs \
    && cargo build --release --locked --package backstop --bin backstop

# The program itself. Sources that are older than the empty program's would count as already built, hence the touch.
COPY config config
COPY src src
RUN touch src/lib.rs src/main.rs && cargo build --release --locked --package backstop --bin backstop


FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Backstop" \
    org.opencontainers.image.description="A failover gateway for LLM APIs" \
    org.opencontainers.image.licenses="Apache-2.0"
# The vendors' certificates are checked against these; taking them from the first stage spares a package manager here.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/target/release/backstop /usr/local/bin/backstop
# Mount your own over it.
COPY --chmod=644 config/compose.json5 /etc/backstop/backstop.json5

# A container's loopback is of no use to others. Without client keys the gateway refuses such an address.
ENV BACKSTOP_SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
# Nobody's number: it needs no entry in /etc/passwd, and Kubernetes can see that it is not root.
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/usr/local/bin/backstop", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/backstop"]
CMD ["serve", "--config", "/etc/backstop/backstop.json5"]
