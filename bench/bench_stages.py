"""What the built-in stages cost on top of the bare libraries, and what they hold in memory.

    python bench/bench_stages.py [--quick] [--json FILE]

For each kind of file, three ways of doing the same work, interleaved, best of several rounds:
*bare* (the libraries called straight, in this process), *stages* (the stage functions called in
this process), *pool* (the stage functions in a warm child, as the service runs them). CPU is user
plus system time of the process that works; the overhead is stages against bare.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent))

from sse_progress.model.stage_api import Options, Upload
from sse_progress.sandbox.pool import Pool
from sse_progress.stages.analysis import analyze
from sse_progress.stages.moderation import moderate
from sse_progress.stages.processing import process
from sse_progress.stages.validation import validate
from tests.media_samples import CACHE, clip, pattern, pdf, tone

STAGES = (
    ("validating", validate),
    ("analyzing", analyze),
    ("moderating", moderate),
    ("processing", process),
)


# ---- the files


def photo() -> Path:
    """A JPEG of 12 megapixels."""
    from PIL import Image

    path = CACHE / "bench-photo.jpg"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        base = Image.effect_noise((1000, 750), 60).convert("RGB")
        base.resize((4000, 3000), Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def film(seconds: int) -> Path:
    """A 720p H.264 clip with AAC sound."""
    return clip(
        f"bench-{seconds}.mp4", *pattern("1280x720", seconds=str(seconds)),
        *tone(seconds=str(seconds)), "-c:v", "libx264", "-preset", "veryfast",
        "-pix_fmt", "yuv420p", "-c:a", "aac",
    )  # fmt: skip


def song(seconds: int) -> Path:
    return clip(f"bench-{seconds}.mp3", *tone(seconds=str(seconds)))


def document(pages: int) -> Path:
    path = CACHE / f"bench-{pages}.pdf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        line = "The quick brown fox jumps over the lazy dog, and nobody is surprised."
        path.write_bytes(pdf([line] * pages))
    return path


# ---- the same work with the libraries alone


def _score(pictures: Iterator[Any]) -> float:
    from sse_progress.stages.scans.nsfw import _model  # the one model that both ways share

    return max(float(_model().classify(picture).nsfw) for picture in pictures)


def _scan(path: Path) -> None:
    from sse_progress.stages.scans.malware import load_rules

    load_rules(None).check_file(path)


def _words(*texts: str) -> None:
    from sse_progress.stages.scans.word_lists import load_words

    words = load_words(None)
    for text in texts:
        words.check(text, "x")


def bare_photo(path: Path, scratch: Path) -> None:
    import magic
    from PIL import Image, ImageOps

    magic.from_file(str(path), mime=True)
    path.read_bytes().find(b"<script")
    with Image.open(path) as image:
        image.load()
    with Image.open(path) as image:
        image.draft("RGB", (512, 512))
        image.thumbnail((512, 512), reducing_gap=2.0)
        image.getexif()
        image.convert("L").resize((9, 8))
        image.resize((128, 96)).quantize(8).getcolors()
    _scan(path)
    with Image.open(path) as image:
        image.draft("RGB", (512, 512))
        image.thumbnail((512, 512), reducing_gap=2.0)
        _score(iter([image]))
    _words("photo.jpg")
    with Image.open(path) as image:
        image.draft("RGB", (640, 640))
        image.thumbnail((640, 640), reducing_gap=2.0)
        ImageOps.exif_transpose(image).save(scratch / "t.webp", quality=80, method=4)


def bare_film(path: Path, scratch: Path) -> None:
    import av
    import magic

    magic.from_file(str(path), mime=True)
    with av.open(path) as opened:
        video = opened.streams.video[0]
        video.thread_type, video.codec_context.skip_frame = "AUTO", "NONKEY"
        for packet in opened.demux():
            if packet.stream_index == video.index:
                packet.decode()
    with av.open(path) as opened:
        video, audio = opened.streams.video[0], opened.streams.audio[0]
        video.thread_type = "AUTO"
        meter = _Ebur128(audio)
        for packet in opened.demux(video, audio):
            for frame in packet.decode():
                if packet.stream_index == audio.index:
                    meter.feed(frame)
        meter.feed(None)
    _scan(path)
    with av.open(path) as opened:
        video = opened.streams.video[0]
        video.thread_type = "AUTO"
        _score(_every(opened, video, video.frames / 16))
    _words("film.mp4")
    with av.open(path) as opened:
        opened.seek(opened.duration // 10)
        frame = next(opened.decode(video=0))
        frame.to_image(width=640, height=360).save(scratch / "p.webp", quality=80, method=4)


def _every(opened: Any, video: Any, step: float) -> Iterator[Any]:
    wanted = step / 2
    for number, frame in enumerate(opened.decode(video), 1):
        if number > wanted:
            wanted += step
            yield frame.to_image(width=512, height=288)


class _Ebur128:
    def __init__(self, stream: Any) -> None:
        import av

        self._ends = (av.error.BlockingIOError, av.error.EOFError)
        self._graph = av.filter.Graph()
        self._source = self._graph.add_abuffer(template=stream)
        meter = self._graph.add("ebur128", "metadata=1:peak=true")
        self._sink = self._graph.add("abuffersink")
        self._source.link_to(meter)
        meter.link_to(self._sink)
        self._graph.configure()

    def feed(self, frame: Any) -> None:
        self._source.push(frame)
        try:
            while True:
                self._sink.pull()
        except self._ends:
            return


def bare_song(path: Path, _: Path) -> None:
    import av
    import magic

    magic.from_file(str(path), mime=True)
    with av.open(path) as opened:
        for packet in opened.demux(opened.streams.audio[0]):
            packet.decode()
    with av.open(path) as opened:
        audio = opened.streams.audio[0]
        meter = _Ebur128(audio)
        for frame in opened.decode(audio):
            meter.feed(frame)
        meter.feed(None)
    _scan(path)
    _words("song.mp3")


def bare_document(path: Path, scratch: Path) -> None:
    import magic
    import pypdfium2

    from sse_progress.stages.formats.text.language import language_of

    magic.from_file(str(path), mime=True)
    opened = pypdfium2.PdfDocument(path)
    for page in opened:
        page.close()
    text = "\n".join(page.get_textpage().get_text_range() for page in opened)
    language_of(text)
    _scan(path)
    step = max(len(opened) // 10, 1)
    _score(opened[at].render(scale=0.6).to_pil() for at in range(0, len(opened), step))
    text = "\n".join(page.get_textpage().get_text_range() for page in opened)
    _words("document.pdf", text)
    opened[0].render(scale=0.76).to_pil().save(scratch / "p.webp", quality=80, method=4)
    opened.close()


# ---- measuring


@dataclass
class Row:
    name: str
    path: Path
    bare: Callable[[Path, Path], None]


def upload_of(path: Path, scratch: Path) -> Upload:
    data = path.read_bytes()
    return Upload(
        id="bench",
        path=str(path),
        scratch=str(scratch),
        filename=path.name,
        claimed_type="application/octet-stream",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        created_at="2026-01-15T10:30:00.000Z",
        options=Options(nsfw_refuse=1.0),
    )


def run_stages(upload: Upload) -> int:
    """All four; the number of reports."""
    reports = 0

    def report(fraction: float, message: str | None = None) -> None:
        nonlocal reports
        reports += 1

    for name, function in STAGES:
        result = function(upload, report)
        upload = msgspec.structs.replace(upload, results={**upload.results, name: result})
    return reports


async def run_pool(pool: Pool, upload: Upload) -> None:
    async with pool.session() as session:
        for name, function in STAGES:
            if name == "moderating":
                await session.renew()
            result = await session.call(function, upload, lambda *_: None, timeout_s=600)
            results = {**upload.results, name: result}
            upload = msgspec.structs.replace(upload, results=results)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


async def measure(row: Row, pool: Pool, rounds: int) -> dict[str, Any]:
    best: dict[str, tuple[float, float]] = {}

    def keep(way: str, result: tuple[float, float]) -> None:
        best[way] = min(best.get(way, result), result)

    reports = 0
    for number in range(rounds + 1):  # the first round loads models and warms caches
        with tempfile.TemporaryDirectory() as name:
            scratch = Path(name)
            upload = upload_of(row.path, scratch)
            bare = timed(lambda: row.bare(row.path, scratch))  # noqa: B023  # called at once
            mine = timed(lambda: run_stages(upload))  # noqa: B023
            reports = run_stages(upload) if number == 0 else reports
            (child,) = pool.pids
            cpu, wall = cpu_of(child), time.perf_counter()
            await run_pool(pool, upload)
            pooled = cpu_of(child) - cpu, time.perf_counter() - wall
        if number:
            keep("bare", bare)
            keep("stages", mine)
            keep("pool", pooled)
    return {
        "kind": row.name,
        "bytes": row.path.stat().st_size,
        "reports": reports,
        **{f"{way}CpuS": round(cpu, 3) for way, (cpu, _) in best.items()},
        **{f"{way}WallS": round(wall, 3) for way, (_, wall) in best.items()},
        "overheadPercent": round((best["stages"][0] / best["bare"][0] - 1) * 100, 1),
    }


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def main(*, quick: bool) -> dict[str, Any]:
    seconds, rounds = (10, 2) if quick else (60, 4)
    rows = [
        Row("photo, 12 MP JPEG", photo(), bare_photo),
        Row(f"film, {seconds} s 720p", film(seconds), bare_film),
        Row(f"song, {seconds} s MP3", song(seconds), bare_song),
        Row("document, 50 pages PDF", document(50), bare_document),
    ]
    pool = Pool(size=1, memory_bytes=2 * 1024**3, cpu_s=3600)
    await pool.start()
    results: dict[str, Any] = {"childIdleMb": round(resident_mb(pool.pids[0]), 1), "kinds": []}
    print(f"{'':26}{'bare':>8}{'stages':>8}{'pool':>8}   CPU s   overhead  reports")
    try:
        for row in rows:
            found = await measure(row, pool, rounds)
            results["kinds"].append(found)
            print(
                f"{found['kind']:26}{found['bareCpuS']:8.3f}{found['stagesCpuS']:8.3f}"
                f"{found['poolCpuS']:8.3f}{found['overheadPercent']:15.1f} %{found['reports']:9}"
            )
        results["childLoadedMb"] = round(resident_mb(pool.pids[0]), 1)
    finally:
        await pool.aclose()
    idle, loaded = results["childIdleMb"], results["childLoadedMb"]
    print(f"a stage child holds {idle} MB at rest, {loaded} MB with everything loaded")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10 s of film and song, 2 rounds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    found = asyncio.run(main(quick=arguments.quick))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
