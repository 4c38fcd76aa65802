"""Make the README's moving picture from a real run: `python -m tests.browser.picture OUT.webp`.

Starts the service with its built-in stages, sends a few generated files from the page in Chromium,
and keeps what is on the screen until all of them have ended. Needs ffmpeg for the video.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.helpers.service import Service

SIZE: ViewportSize = {"width": 1280, "height": 860}
FRAME_S = 0.12
LINGER_S = 2.5
MOST_S = 60
SHOWN_WIDTH = 960

FRACTAL = ("mandelbrot=size=1280x720:rate=24", "-t", "6", "-pix_fmt", "yuv420p")
EVENING = (
    "gradients=size=2400x1600:c0=#0b3a6b:c1=#f2a65a:c2=#e4572e:x0=0:y0=0:x1=2400:y1=1600:n=3",
    "-frames:v",
    "1",
)


def files(directory: Path) -> list[Path]:
    """A video, a picture, a spreadsheet's text, and a file that is refused."""
    for name, (source, *options) in {"fractal-zoom.mp4": FRACTAL, "evening.jpg": EVENING}.items():
        command = ["ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", source, *options]
        subprocess.run([*command, str(directory / name)], check=True)
    rows = "\n".join(f"{n},{n * n},{n**3}" for n in range(20_000))
    (directory / "measurements.csv").write_text(f"n,square,cube\n{rows}\n")
    (directory / "setup.exe").write_bytes(b"MZ\x90\x00" + bytes(2_000))
    names = ("setup.exe", "measurements.csv", "evening.jpg", "fractal-zoom.mp4")
    return [directory / name for name in names]


def shoot(page: Page, sent: list[Path]) -> list[Image.Image]:
    """One frame every `FRAME_S` until everything has ended, and a while longer."""
    frames: list[Image.Image] = []
    until = time.monotonic() + MOST_S
    lingering = False
    while time.monotonic() < until:
        due = time.monotonic() + FRAME_S
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        height = round(image.height * SHOWN_WIDTH / image.width)
        frames.append(image.resize((SHOWN_WIDTH, height), Image.Resampling.LANCZOS))
        if len(frames) == 5:
            page.set_input_files("#files", sent)
        phases = page.locator(".card").evaluate_all("(all) => all.map((c) => c.dataset.phase)")
        if not lingering and len(phases) == len(sent) and {*phases} <= {"done", "refused"}:
            lingering, until = True, time.monotonic() + LINGER_S
        page.wait_for_timeout(max(0, due - time.monotonic()) * 1000)
    return frames


def main() -> None:
    out = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="sp-") as name, sync_playwright() as playwright:
        directory = Path(name)
        sent = files(directory)
        with Service(directory / "service") as service:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport=SIZE)
            page.goto(service.url + "/")
            page.locator("#link[data-state=live]").wait_for()
            frames = shoot(page, sent)
            browser.close()
    first, *rest = frames
    duration = round(FRAME_S * 1000)
    first.save(out, save_all=True, append_images=rest, duration=duration, loop=0, quality=72)
    print(f"{out}: {len(frames)} frames, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
