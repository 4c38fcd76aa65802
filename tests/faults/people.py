"""Uploaders and readers for fault runs: they do what real clients do, and remember all they saw."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.helpers.media import jpeg, noise, picture
from tests.helpers.multipart import Part, body, content_type, file_part
from tests.helpers.sse import EventStream, Frame

PIECE = 64 * 1024


@dataclass
class Sent:
    """One upload as its sender knows it: what was sent, and what was answered (0: nothing)."""

    upload_id: str
    content: bytes
    good: bool
    status: int = 0
    code: str = ""
    sending: bool = False
    batch: str = ""

    @property
    def accepted(self) -> bool:
        return self.status in (200, 202)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass
class Seen:
    """What one reader saw: every journal frame in its order, with resets marked.

    `of`: what it reads, `upload` or `batches`.
    """

    upload_id: str
    frames: list[tuple[Frame, bool]] = field(default_factory=list)
    connections: int = 0
    cut: int = 0
    ended: str = ""
    live: bool = False
    of: str = "upload"


def content(rng: random.Random, number: int) -> tuple[str, bytes, bool]:
    """A file by lot: small and large pictures, text, and now and then one that is refused."""
    kind = rng.choices(["small", "large", "text", "broken", "empty"], [4, 3, 2, 1, 1])[0]
    if kind == "small":
        return "small.jpg", jpeg(320, 240, seed=number), True
    if kind == "large":
        image = picture(1800, 1400, seed=number)
        import io

        out = io.BytesIO()
        image.effect_spread(3).save(out, "PNG", compress_level=1)
        return "large.png", out.getvalue(), True
    if kind == "text":
        words = rng.choices(["wind", "water", "stone", "tree"], k=20_000)
        return "words.txt", " ".join(words).encode(), True
    if kind == "broken":
        return "broken.jpg", jpeg(seed=number)[:6000] + noise(50, seed=number), False
    return "empty.txt", b"", False


async def send(url: str, sent: Sent, name: str, rng: random.Random, *, timeout_s: float) -> None:
    """POST once, sometimes slowly, sometimes asking for 202; whatever happens is noted."""
    raw = body([Part("note", b"chaos"), file_part(sent.content, name, None)])
    parts = urlsplit(url)
    slow = rng.random() < 0.5
    lines = [
        f"POST /upload{'?batch=' + sent.batch if sent.batch else ''} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"X-Upload-ID: {sent.upload_id}",
        f"Content-Type: {content_type()}",
        f"Content-Length: {len(raw)}",
        "Connection: close",
    ]
    if rng.random() < 0.4:
        lines.append("Prefer: respond-async")
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                sent.sending = True
                writer.write("\r\n".join([*lines, "", ""]).encode())
                step = max(len(raw) // 20, 1) if slow else PIECE
                for at in range(0, len(raw), step):
                    writer.write(raw[at : at + step])
                    await writer.drain()
                    if slow:
                        await asyncio.sleep(rng.uniform(0.02, 0.12))
                answer = await reader.read()
            finally:
                sent.sending = False
                writer.close()
    except (OSError, TimeoutError):
        return
    head, _, rest = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 "):
        sent.status = int(head.split()[1])
        if sent.status >= 400:
            try:
                sent.code = json.loads(rest)["code"]
            except ValueError:
                sent.code = ""


async def follow(url: str, seen: Seen, rng: random.Random, *, whole: asyncio.Event) -> None:
    """Read to the end with reconnects, like EventSource; sometimes hang up in the middle."""
    position: str | None = None
    while not seen.ended:
        headers = {"Last-Event-ID": position} if position else {}
        hang_up = rng.randrange(2, 9) if rng.random() < 0.5 and not whole.is_set() else None
        try:
            async with EventStream(
                f"{url}/{seen.of}/{seen.upload_id}/progress", headers=headers, timeout_s=40
            ) as stream:
                seen.connections += 1
                if stream.status == 204:
                    seen.ended = "204"
                    return
                assert stream.status == 200, f"a reader was answered {stream.status}"
                seen.live = True
                async for frame in stream:
                    if frame.id is None:
                        continue
                    position = frame.id
                    seen.frames.append((frame, frame.json["type"] == "reset"))
                    if frame.terminal:
                        seen.ended = str(frame.stage)
                        return
                    if hang_up is not None and (hang_up := hang_up - 1) <= 0:
                        break
                else:
                    seen.cut += not stream.clean_end
        except (OSError, EOFError, TimeoutError):
            seen.cut += 1
        finally:
            seen.live = False
        await asyncio.sleep(rng.uniform(0.05, 0.3))
