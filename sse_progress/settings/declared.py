"""Every setting of the service, with its unit and default, documented in place.

A setting is an environment variable `SSE_PROGRESS_<NAME>` or a line of `.env`. Lists are separated
by commas.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sse_progress.settings.values import Secret, limited

__all__ = ["DEFAULT_TYPES", "Declared", "WebRole"]

WebRole = Literal["all", "streams", "uploads"]

DEFAULT_TYPES = (
    "image/jpeg,image/png,image/gif,image/webp,image/avif,image/tiff,image/bmp,"
    "image/heic,image/heif,"
    "video/mp4,video/quicktime,video/webm,video/x-matroska,video/x-msvideo,video/mpeg,video/3gpp,"
    "video/3gpp2,video/mp2t,"
    "audio/mpeg,audio/mp4,audio/x-m4a,audio/aac,audio/ogg,audio/flac,audio/x-wav,audio/webm,"
    "audio/x-matroska,audio/3gpp,audio/3gpp2,"
    "application/pdf,text/plain,text/csv,text/markdown,application/json,"
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document,"
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet,"
    "application/vnd.openxmlformats-officedocument.presentationml.presentation,"
    "application/vnd.oasis.opendocument.text,application/vnd.oasis.opendocument.spreadsheet,"
    "application/vnd.oasis.opendocument.presentation,application/epub+zip,application/zip"
)


@dataclass(frozen=True, kw_only=True)
class Declared:
    # ---- where it listens and keeps things
    host: str = "127.0.0.1"
    """Address to bind. Any address but loopback requires a key or `open_mode_anywhere`."""
    port: int = limited(8000, ge=0, le=65535)
    """TCP port; 0 selects a free port and logs it."""
    prefix: str = ""
    """Path before every route, such as `/api/media`."""
    data_dir: Path = Path("data")
    """Files, and the private Redis' data; a relative path is made absolute at start."""
    storage: str | None = None
    """`s3://bucket/prefix?endpoint=https://host&region=…` keeps files in a bucket, with the key in
    `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`; unset: the data directory. Spell it the same
    for all processes."""
    s3_serve: Literal["proxy", "redirect"] = "proxy"
    """How files in a bucket are served: through this service, or by a redirect to a URL that is
    signed for a minute."""
    work_bytes: int = limited(20 * 1024**3, ge=1)
    """Bytes of files from a bucket that workers of one host have in `DATA_DIR/work` at once."""
    redis_url: Secret | None = None
    """`redis://`, `rediss://` (TLS), `unix://`, `redis+sentinel://h1:26379,h2:26379/name` or
    `redis+cluster://h1:6379,h2:6379`. Unset: a private server in the data directory."""
    queue: Secret | None = None
    """`nats://host:4222,host:4222` or `tls://…` (`?ssl_ca_certs=/path` with an authority of yours):
    jobs are given out by NATS JetStream (extra `nats`); unset: by Redis. Change it while no upload
    is in work."""
    web_processes: int = limited(1, ge=1, le=64)
    """Processes that receive bodies and serve streams, on one shared socket."""
    web_role: WebRole = "all"
    """What `sse-progress web` answers: `streams` (SSE, WebSocket) alone, which needs no storage,
    `uploads` (everything but these), or `all`."""
    worker_processes: int = limited(1, ge=0, le=64)
    """Processes that run stages. 0: workers run elsewhere."""
    worker_concurrency: int = limited(2, ge=1, le=64)
    """Uploads that one worker process runs at the same time, each in a child process."""
    log_format: Literal["console", "json"] = "console"
    """Format of log lines: `console` for people, `json` for one JSON object per line."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""
    log_user_key: Secret | None = None
    """Names users in the log by a digest with this key (16 characters or more), instead of as they
    are."""

    metrics_port: int | None = limited(None, ge=1, le=65535)
    """TCP port, on `host`, where a worker that runs without `serve` answers `/metrics`; unset:
    none."""

    # ---- identity
    jwt_secret: Secret | None = None
    """HS256 secret, at least 32 bytes."""
    jwt_public_key: str | None = None
    """PEM text, or a path to it: RSA, EC or Ed25519."""
    jwks_url: str | None = None
    """`https://` URL of the identity provider's key set (RFC 7517); `http://` only to this
    machine."""
    jwt_audience: str | None = None
    """Required `aud` of a token; unset: a token with any `aud` is refused."""
    jwt_issuer: str | None = None
    """Required `iss` of a token; unset: any."""
    jwt_leeway_s: int = limited(10, ge=0, le=300)
    """Clock difference tolerated in `exp` and `nbf`, seconds."""
    open_mode_anywhere: bool = False
    """Allow open mode (no key, every caller is `anonymous`) on a public address. Must be enabled
    explicitly."""
    allowed_hosts: tuple[str, ...] = ()
    """Additional `Host` names accepted in open mode (loopback names always are)."""
    cors_origins: tuple[str, ...] = ()
    """Origins that may use the service from a browser, such as `https://app.example`, or from the
    web view of an app, such as `capacitor://localhost`."""
    trusted_proxies: str = "127.0.0.1"
    """Peers whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted (uvicorn's syntax)."""

    # ---- limits
    max_upload_bytes: int = limited(1024**3, ge=1)
    """Largest file, bytes."""
    max_fields_bytes: int = limited(16 * 1024, ge=0)
    """Total size of the text fields of one upload, bytes."""
    max_streams_per_user: int | None = limited(None, ge=1)
    """Live streams per user across all processes (20 with a key, none in open mode)."""
    max_uploads_per_user: int | None = limited(None, ge=1)
    """Bodies received at once per user, across all processes (5 with a key, none in open mode)."""
    max_paused_per_user: int | None = limited(None, ge=1)
    """Resumable uploads of one user that are not whole yet (20 with a key, none in open mode)."""
    resume_s: int = limited(24 * 3600, ge=1)
    """How long a resumable upload may be paused before it ends with `upload_expired`, seconds."""
    interim: Literal["auto", "off"] = "auto"
    """Interim responses (104) to clients of the IETF draft that know them and come through no
    proxy: `auto`, or `off`. A proxy that names itself in no header can hang on one."""
    max_claims_per_user: int | None = limited(None, ge=1)
    """Ids that one user's streams may claim before an upload begins, per `claim_ttl_s` (100 with a
    key, none in open mode). Streams above it wait without a claim."""
    max_batch: int = limited(1000, ge=1, le=10_000)
    """Items that one batch may have."""
    max_queued_per_user: int = limited(2000, ge=1)
    """Uploads of one user that may wait for a worker, also in open mode; new ones then get 429."""
    max_cpu_s_per_hour: int | None = limited(None, ge=1)
    """CPU seconds that the stages of one user's uploads may take per hour (7200 with a key, none in
    open mode); new ones then get 429."""
    max_bytes_per_user: int | None = limited(None, ge=1)
    """Bytes of originals that one user may keep (unset: no limit); then 507 for that user."""
    requests_per_minute: int | None = limited(None, ge=1)
    """Requests per user and minute (600 with a key, none in open mode)."""
    requests_per_minute_per_address: int | None = limited(None, ge=1)
    """Requests per client address and minute (3000 with a key, none in open mode)."""
    max_connections_per_address: int = limited(1000, ge=1)
    """Connections of one client address to one web process at the same time; where a trusted proxy
    names the address, requests that are being answered. Addresses of IPv6 count by their /64."""
    max_open_bodies: int = limited(1000, ge=1)
    """Bodies that one web process receives at the same time."""
    disk_reserve_bytes: int = limited(256 * 1024**2, ge=0)
    """Free space to keep on the storage, bytes; a body that does not fit gets 507."""
    disk_reserve_inodes: int = limited(1000, ge=0)
    """Free inodes to keep on the storage, where the file system counts them; then 507."""
    allowed_types: tuple[str, ...] = tuple(DEFAULT_TYPES.split(","))
    """Detected media types that are accepted; `image/*` style wildcards work, `*/*` is all."""

    # ---- time, seconds
    answer_wait_s: float = limited(50, ge=0, le=3600)
    """Seconds that a POST waits for the result before the response is 202."""
    receive_stall_s: float = limited(30, gt=0)
    """Seconds without a byte after which a body is aborted."""
    receive_min_rate: int = limited(1024, ge=0)
    """Minimum rate of a body over `receive_stall_s`, bytes per second; 0: no limit."""
    heartbeat_s: float = limited(15, gt=0)
    """Seconds of silence after which a stream sends a heartbeat."""
    stream_lifetime_s: float = limited(3600, gt=0)
    """Maximum duration of a stream, seconds; each ends at a random time in the last fifth."""
    slow_reader_s: float = limited(30, gt=0)
    """Seconds after which a reader that does not read is disconnected; it can resume."""
    redis_wait_s: float = limited(30, gt=0)
    """Seconds that a body or a response waits for Redis before it fails with 503."""
    lease_s: float = limited(10, gt=0)
    """Seconds without a heartbeat after which a receiver or a worker is considered dead."""
    claim_ttl_s: int = limited(600, ge=1)
    """Seconds that an id stays claimed without an upload, after its last stream."""
    journal_ttl_s: int = limited(24 * 3600, ge=60)
    """Seconds that a journal is kept after its end."""
    journal_ttl_refused_s: int | None = limited(None, ge=60)
    """The same after an error, also of a file that was refused (unset: as long)."""
    journal_whole_s: int = limited(600, ge=1)
    """Seconds after its end that all of a journal stays in Redis; then its last event does, and the
    archive has the others. Without an archive all of it stays."""
    shutdown_grace_s: float = limited(10, ge=0)
    """Seconds that bodies in flight may continue after SIGTERM."""
    retention_days: float | None = limited(None, gt=0)
    """Days that finished uploads are kept; unset: forever."""

    # ---- the archive
    archive_url: Secret | None = None
    """Database of past uploads and their events: `postgresql://…` or `sqlite:////absolute/path`;
    unset: a SQLite file in the data directory; `off`: none."""
    history_days: float = limited(30, gt=0)
    """Days that the archive keeps an upload after its last event."""

    # ---- compression
    compress: Literal["json", "replay", "off"] = "json"
    """What is sent in gzip to clients that accept it: lists and histories (`json`), the replays of
    streams too (`replay`), or nothing (`off`)."""

    # ---- webhooks
    webhook_url: Secret | None = None
    """`http://` or `https://`: receives what becomes of every upload, job and batch (Standard
    Webhooks)."""
    webhook_secret: Secret | None = None
    """Signs webhooks: `whsec_` and base64 of 24 to 64 bytes; two of them, separated by a comma,
    while one replaces the other."""

    # ---- stages
    review: Literal["publish", "hold"] = "publish"
    """What becomes of a file that moderation marks for review: published, or held for a person."""
    review_days: float = limited(7, gt=0)
    """Days that a held file waits for a person; then `_REVIEW_TIMEOUT` decides."""
    review_timeout: Literal["refuse", "approve"] = "refuse"
    """What is decided about a held file that was not reviewed in time."""
    kinds: str | None = None
    """`package.module:name` of a list of `Kind`; unset: the one kind `upload`."""
    pipeline: str | None = None
    """`package.module:name` of a pipeline; unset: the built-in one with installed plug-ins."""
    stage_timeout_s: float = limited(900, gt=0)
    """Wall-clock limit of one stage function, seconds."""
    stage_cpu_s: int = limited(900, ge=1)
    """CPU time limit of one stage function, seconds."""
    upload_cpu_s: int = limited(300, ge=1)
    """CPU time limit of all stages of one upload together, seconds, to which its size adds."""
    upload_cpu_s_per_mib: float = limited(4, ge=0)
    """What each MiB of a file adds to that limit, seconds."""
    upload_timeout_s: float = limited(1800, gt=0)
    """Wall-clock limit of all stages of one upload together, seconds, to which its size adds."""
    upload_timeout_s_per_mib: float = limited(4, ge=0)
    """What each MiB of a file adds to that limit, seconds."""
    stage_memory_bytes: int = limited(2 * 1024**3, ge=64 * 1024**2)
    """Memory limit (growth of the address space) of one stage function, bytes."""
    scratch_bytes: int = limited(4 * 1024**3, ge=1024**2)
    """Bytes that the stages of one upload may write together; 16 MiB while the disk has less than
    its reserve."""
    sandbox: Literal["best-effort", "required", "off"] = "best-effort"
    """What stages are kept from by Landlock and seccomp: everything that the kernel can
    (`best-effort`), the same but no start where it cannot (`required`), nothing (`off`)."""
    stage_readable: tuple[str, ...] = ()
    """More paths that confined stages may read, such as models of a plug-in; by commas."""
    stage_attempts: int = limited(3, ge=1)
    """Lost children of one stage function before the upload ends with an error."""
    job_attempts: int = limited(20, ge=1)
    """Attempts at one upload ended by a worker's death or by a service that is away, before it is
    parked: its file is kept until `sse-progress ops requeue ID`."""
    max_pixels: int = limited(200_000_000, ge=1)
    """Largest picture, pixels (width x height x frames are bounded too)."""
    keep_location: bool = False
    """Report the GPS position found in EXIF."""
    strip_metadata: bool = False
    """Also remove EXIF from the stored original picture."""
    nsfw_review: float = limited(0.5, ge=0, le=1)
    """Score of the picture model (0-1) at which a file is marked for review."""
    nsfw_refuse: float = limited(0.8, ge=0, le=1)
    """Score of the picture model (0-1) at which a file is refused."""
    yara_rules: Path | None = None
    """Directory of additional `.yar` files."""
    word_list: Path | None = None
    """File of additional words to mark for review, one per line."""
    bad_sha256: Path | None = None
    """File of SHA-256 digests (hex, one per line) that are always refused."""
    clamd: str | None = None
    """Address of a clamd: `unix:/run/clamav/clamd.ctl` or `host:port`."""
    clamd_fail: Literal["closed", "open"] = "closed"
    """If clamd is unreachable: refuse the file (`closed`) or note it as not checked (`open`)."""

    # ---- moderation services, with the built-in pipeline
    moderation_api_url: str | None = None
    """Base URL of an OpenAI-compatible API, such as `https://api.openai.com/v1`: its `moderations`
    endpoint is shown the name, text and pictures of every file; what it flags is for review."""
    moderation_api_key: Secret | None = None
    """Bearer key of that API."""
    moderation_api_model: str = "omni-moderation-latest"
    """Model that is named to it."""
    moderation_api_refuse: float | None = limited(None, ge=0, le=1)
    """Score (0-1) of any of its categories at which a file is refused; unset: none is."""
    moderation_hook_url: Secret | None = None
    """`http://` or `https://`: asked about every file by signed JSON; it answers with a verdict."""
    moderation_hook_secret: Secret | None = None
    """Signs what the hook is asked, and what it answers later, as `_WEBHOOK_SECRET` does."""
    moderation_hook_wait_s: float = limited(3600, gt=0)
    """Seconds that the hook may take for an answer that it promised for later (202); then the file
    is refused if `_MODERATION_FAIL` is `closed`, else marked for review."""
    moderation_timeout_s: float = limited(20, gt=0)
    """Seconds for one request to a moderation service; it is made up to 4 times."""
    moderation_fail: Literal["retry", "closed", "open"] = "retry"
    """If a moderation service does not answer: try the upload again later (`retry`), refuse it
    (`closed`), or note it as not checked (`open`)."""
