"""The page and the module behind the real nginx with the configuration that this project ships."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.gates import Gates
from tests.browser.line import Line
from tests.browser.looking import card, link, phase, send
from tests.browser.paced import STAGES
from tests.browser.users import User
from tests.helpers.nginx import Nginx
from tests.helpers.service import Service


@pytest.fixture(scope="module")
def nginx(paced: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with Nginx(tmp_path_factory.mktemp("nginx"), paced.url) as nginx:
        yield nginx


@pytest.fixture
def secure(contexts: Callable[..., BrowserContext], nginx: Nginx, user: User) -> Page:
    """The page over TLS, live, of somebody who is signed in by cookie."""
    context = contexts(ignore_https_errors=True)
    user.sign_in(context, nginx.url)
    page = context.new_page()
    page.goto(nginx.url + "/")
    link(page, "live")
    return page


def test_every_stage_is_seen_through_nginx(secure: Page, gates: Gates) -> None:
    """Over HTTP/2 nothing is held back: each stage is on the page while it is worked on."""
    protocol = secure.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
    assert protocol == "h2"
    send(secure, gates.file("report.txt"))
    for stage in STAGES:
        expect(card(secure, "report.txt")).to_contain_text(f"{stage} has begun")
        gates.open(f"{stage}-half")
        expect(card(secure, "report.txt")).to_contain_text(f"{stage} is half done")
        gates.open(stage)
    phase(card(secure, "report.txt"), "done")


def test_eight_files_at_once_through_nginx(secure: Page, gates: Gates) -> None:
    """Eight uploads are worked on side by side, and all of them end."""
    names = [f"file-{n}.bin" for n in range(8)]
    send(secure, *[gates.file(name, 200_000) for name in names])
    for name in names:
        expect(card(secure, name)).to_contain_text("validating has begun")
    gates.open_all()
    for name in names:
        phase(card(secure, name), "done")


def test_a_slow_body_is_counted_as_it_arrives(
    contexts: Callable[..., BrowserContext], nginx: Nginx, user: User, gates: Gates
) -> None:
    """nginx passes a body on at once: the service's own count rises and does not jump."""
    with Line(nginx.url) as line:
        context = contexts(ignore_https_errors=True)
        url = line.url.replace("http://127.0.0.1", "https://localhost")
        user.sign_in(context, url)
        page = context.new_page()
        page.goto(url + "/api")
        line.rate = 2_000_000
        counts = page.evaluate(
            """async (text) => {
              const { upload } = await import("./client/index.js");
              const file = new File([text, new Uint8Array(4_000_000)], "slow.bin");
              const counts = [];
              await new Promise((resolve) => upload(file, { onEvent: (upload, event) => {
                if (event?.stage === "receiving" && event.bytes) counts.push(event.bytes);
                if (event?.stage === "file_received") resolve();
              } }));
              return counts;
            }""",
            gates.file("slow.bin").read_text(),
        )
        context.close()
    gates.open_all()
    early = [count for count in counts if count < 3_000_000]
    assert len(set(early)) >= 3, counts
    assert counts == sorted(counts)
