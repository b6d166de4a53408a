# The image that has storsync-init and nothing else. `make image` builds it; what it is for is
#   COPY --from=storsync-init:VERSION /storsync-init /usr/local/bin/
# For podman, buildah and docker, with or without BuildKit. BASE may name any Debian since bookworm: a mirror's, or
# one by its digest.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        gcc libc6-dev make patch xz-utils
# The dependencies are a step of their own, which a change of our sources does not repeat.
COPY Makefile /src/
COPY deps /src/deps
RUN make -C /src build/deps-musl/done
COPY include /src/include
COPY src /src/src
RUN make -C /src

FROM scratch
# What the engine cannot know; `make image` says it.
ARG VERSION=""
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="storsync-init" \
      org.opencontainers.image.description="Syncs buckets once per deployment, then becomes the application" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=build /src/build/storsync-init /storsync-init
# A number: there is no /etc/passwd to look a name up in, and Kubernetes wants to see that it is not root.
USER 65532:65532
ENTRYPOINT ["/storsync-init"]
