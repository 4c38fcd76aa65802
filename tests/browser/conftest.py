"""Chromium, a service at a test's pace, and a page that must not log an error."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.gates import Gates
from tests.browser.line import Line
from tests.browser.users import SECRET, User
from tests.helpers.ports import free_port
from tests.helpers.service import Service

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
UNUSED = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup")
"""Two pages of the browser's own, for what is typed into an address bar that nobody sees. Each
window loads both, which takes as much CPU as the page under test."""
PLAYWRIGHTS = (
    *("AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync"),
    *("DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades"),
    *("AimEnabled", "LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying"),
    *("OptimizationHints", "PaintHolding", "PreconnectToSearch", "ThirdPartyStoragePartitioning"),
)
"""What Playwright switches off by the same option, of which only the last counts."""
SPARE = "SpareRendererForSitePerProcess"
"""A process for the next page, begun with each page: a twentieth of what tests of the page take."""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join([*UNUSED, *PLAYWRIGHTS, SPARE])}",
]
NETWORK = re.compile(r"Failed to load resource|net::ERR_")
"""What the browser itself logs when a test takes the network or the service away."""

expect.set_options(timeout=60_000)
_users = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One for these files: Playwright keeps an event loop running in this thread, and as long as it
    does, no other test could run one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def contexts(
    browser: Browser, service: Callable[..., Service]
) -> Iterator[Callable[..., BrowserContext]]:
    """A maker of fresh profiles. After the test, none of their pages may have logged an error.

    `faulty=True` allows what the browser logs about requests that fail. A test's own services end
    after its pages, which would log that they are gone.
    """
    made: list[BrowserContext] = []
    errors: list[str] = []

    def make(*, faulty: bool = False, **options: Any) -> BrowserContext:
        context = browser.new_context(**options)
        context.set_default_timeout(60_000)
        made.append(context)

        def console(message: Any) -> None:
            if message.type == "error" and not (faulty and NETWORK.search(message.text)):
                errors.append(f"console: {message.text}")

        context.on("console", console)
        context.on("weberror", lambda error: errors.append(f"page: {error.error}"))
        context.on("dialog", lambda dialog: dialog.accept())
        return context

    yield make
    for context in made:
        context.close()
    assert not errors, "\n".join(errors)


@pytest.fixture
def user() -> User:
    """Somebody whose uploads no other test sees."""
    return User(f"user-{next(_users)}")


@pytest.fixture
def context(contexts: Callable[..., BrowserContext], paced: Service, user: User) -> BrowserContext:
    """A profile of `user`, signed in to the paced service by cookie."""
    context = contexts()
    user.sign_in(context, paced.url)
    return context


@pytest.fixture
def faulty(contexts: Callable[..., BrowserContext], paced: Service, user: User) -> BrowserContext:
    """The same for a test that takes the network away."""
    context = contexts(faulty=True)
    user.sign_in(context, paced.url)
    return context


@pytest.fixture
def line(paced: Service) -> Iterator[Line]:
    """A line to the paced service, to be slowed down and cut."""
    with Line(paced.url) as line:
        yield line


@pytest.fixture
def page(context: BrowserContext, paced: Service) -> Page:
    """The page of the paced service, live."""
    return live_page(context, paced.url)


@pytest.fixture
def faulty_page(faulty: BrowserContext, line: Line) -> Page:
    """The same at the end of `line`."""
    return live_page(faulty, line.url)


@pytest.fixture
def blank(faulty: BrowserContext, line: Line) -> Page:
    """A page at the end of `line` that follows nothing by itself."""
    page = faulty.new_page()
    page.goto(line.url + "/api")
    return page


def live_page(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(url + "/")
    expect(page.locator("#link")).to_have_attribute("data-state", "live")
    return page


@pytest.fixture(scope="package")
def paced(session_dir: Path) -> Iterator[Service]:
    """One service for all tests that do not stop it; its stages wait at gates.

    Pages of `http://localhost` may use it from there, which is another origin.
    """
    port = free_port()
    env = {
        "SSE_PROGRESS_PORT": str(port),
        "SSE_PROGRESS_CORS_ORIGINS": f"http://localhost:{port}",
        "SSE_PROGRESS_PIPELINE": "tests.browser.paced:pipeline",
        "SSE_PROGRESS_WORKER_CONCURRENCY": "10",
        "SSE_PROGRESS_ALLOWED_TYPES": "*/*",
        "SSE_PROGRESS_JWT_SECRET": SECRET,
        "SSE_PROGRESS_JWT_LEEWAY_S": "0",
        # One user has hundreds of jobs, and all of them come from one address.
        "SSE_PROGRESS_REQUESTS_PER_MINUTE": "10000",
        "SSE_PROGRESS_REQUESTS_PER_MINUTE_PER_ADDRESS": "100000",
    }
    with Service(session_dir / "paced", env) as service:
        yield service


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[Gates]:
    """Gates of this test; whatever still waits at them goes on when it ends."""
    gates = Gates(tmp_path / "gates")
    yield gates
    gates.open_all()
