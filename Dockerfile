# syntax=docker/dockerfile:1
# The whole service in one image: `serve` (web, workers and a private Redis), `web` or `worker`.
#
#   docker build -t sse-progress .
#   docker run --read-only --tmpfs /tmp -p 8000:8000 -v uploads:/data \
#       -e SSE_PROGRESS_JWT_SECRET=… sse-progress
#
# Arguments: LOCK=core leaves out what the extras bring (video, PDF, HEIF, picture and word
# models); BASE takes another base, such as one with its digest: python:3.13-slim-bookworm@sha256:…

ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ARG LOCK=serve
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/sse-progress
WORKDIR /src
COPY requirements/${LOCK}.txt requirements.txt
RUN python -m pip --python /opt/sse-progress/bin/python install \
        --require-hashes --only-binary :all: --no-deps --no-compile -r requirements.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY sse_progress sse_progress
# Compiled by content, not by time: the root is read-only later, and layers come out the same. One
# file of olefile is for Python 2.
RUN python -m pip --python /opt/sse-progress/bin/python install \
        --no-deps --no-build-isolation --no-compile . \
    && /opt/sse-progress/bin/python -m compileall -q -x olefile2 \
        --invalidation-mode unchecked-hash /opt/sse-progress/lib

FROM ${BASE}
# No revision of a Debian package is pinned: it vanishes from the mirrors with the next update.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libmagic1 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log \
    && python -m pip uninstall -y --root-user-action ignore pip \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin sse-progress \
    && install -d -o sse-progress -g sse-progress -m 0700 /data
COPY --from=build /opt/sse-progress /opt/sse-progress
ENV PATH=/opt/sse-progress/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SSE_PROGRESS_HOST=0.0.0.0 \
    SSE_PROGRESS_PORT=8000 \
    SSE_PROGRESS_DATA_DIR=/data \
    SSE_PROGRESS_LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
# For `serve` and `web`. Podman's image format drops it: compose.yaml and deploy/ have their own.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['SSE_PROGRESS_PORT'] + os.environ.get('SSE_PROGRESS_PREFIX', '') + '/healthz', timeout=4)"]
ENTRYPOINT ["sse-progress"]
CMD ["serve"]
