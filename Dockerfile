# syntax=docker/dockerfile:1
# The whole service in one container: web, workers and a private Redis, files under /data.
#
#   docker build -t sse-progress .
#   docker run -p 8000:8000 -v uploads:/data -e SSE_PROGRESS_JWT_SECRET=… sse-progress

FROM python:3.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/sse-progress
WORKDIR /src
COPY requirements/serve.txt requirements/serve.txt
RUN /opt/sse-progress/bin/pip install --require-hashes --no-deps -r requirements/serve.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY sse_progress sse_progress
RUN /opt/sse-progress/bin/pip install --no-deps .

FROM python:3.13-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends libmagic1=1:5.44-3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin sse-progress \
    && install -d -o sse-progress -g sse-progress -m 0700 /data
COPY --from=build /opt/sse-progress /opt/sse-progress
ENV PATH=/opt/sse-progress/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SSE_PROGRESS_HOST=0.0.0.0 \
    SSE_PROGRESS_PORT=8000 \
    SSE_PROGRESS_DATA_DIR=/data \
    SSE_PROGRESS_LOG_FORMAT=json
USER 10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:8000' + os.environ.get('SSE_PROGRESS_PREFIX', '') + '/healthz', timeout=4)"]
ENTRYPOINT ["sse-progress"]
CMD ["serve"]
