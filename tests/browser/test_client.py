"""The ES module in a browser, against the real service: streams, positions, tokens, fallbacks."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.gates import Gates
from tests.browser.line import Line
from tests.browser.looking import card, link, phase, send, slow
from tests.browser.sdk import start
from tests.browser.users import User
from tests.helpers.service import Service
from tests.helpers.waiting import wait_until

FOLLOW = """
(id) => {
  window.followed = window.client.follow(id, {
    onEvent: (upload, event) => event && window.events.push(event),
  });
}
"""
UPLOAD = """
({ ids, text, size }) => {
  for (const id of ids) {
    const file = new File([text, new Uint8Array(size)], `${id}.txt`);
    window.client.upload(file, { id, onEvent: (_, event) => event && window.events.push(event) });
  }
}
"""


def requests_of(page: Page) -> list[Request]:
    seen: list[Request] = []
    page.on("request", lambda request: seen.append(request))  # noqa: PLW0108 (it marks its handler)
    return seen


def stream_urls(requests: list[Request]) -> list[str]:
    streams = [r for r in requests if "/progress" in r.url]
    return [r.url for r in streams if "json" not in r.headers.get("accept", "")]


def gated(gates: Gates) -> str:
    return gates.file("any.txt").read_text()


def upload(page: Page, gates: Gates, *ids: str, size: int = 0) -> None:
    page.evaluate(UPLOAD, {"ids": ids, "text": gated(gates), "size": size})


def journal(service: Service, user: User, upload_id: str) -> list[dict[str, Any]]:
    """Every event of a finished upload, as the service itself replays them."""
    url = f"{service.url}/upload/{upload_id}/progress"
    lines = httpx.get(url, headers=user.headers, timeout=60).text.splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if "data: " in line]
    return [event for event in events if event["type"] == "progress"]


def state(page: Page, upload_id: str) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(
        "(id) => window.client.uploads.get(id)?.state ?? {}", upload_id
    )
    return found


def wait_for_stage(page: Page, upload_id: str, name: str) -> None:
    wait_until(lambda: state(page, upload_id).get("stage") == name, name)


def wait_for_phase(page: Page, upload_id: str, name: str, timeout_s: float = 60) -> None:
    wait_until(lambda: state(page, upload_id).get("phase") == name, name, timeout_s=timeout_s)


def test_a_lone_upload_is_followed_by_its_own_stream_and_misses_nothing(
    blank: Page, paced: Service, user: User, gates: Gates, line: Line
) -> None:
    """The network is cut in the middle: after it every event has come once, in journal order."""
    requests = requests_of(blank)
    start(blank)
    blank.evaluate(FOLLOW, "lone-upload")
    httpx.post(
        f"{paced.url}/upload",
        files={"file": ("a.txt", gated(gates).encode())},
        headers={"X-Upload-ID": "lone-upload", "Prefer": "respond-async", **user.headers},
    ).raise_for_status()
    wait_for_stage(blank, "lone-upload", "validating")
    line.cut()
    wait_until(lambda: blank.evaluate("window.client.link") == "reconnecting", "reconnecting")
    gates.open("validating-half", "validating", "analyzing-half")
    line.mend()
    wait_for_stage(blank, "lone-upload", "analyzing")
    gates.open_all()
    wait_for_phase(blank, "lone-upload", "done")
    assert blank.evaluate("window.events") == journal(paced, user, "lone-upload")
    urls = stream_urls(requests)
    assert len(urls) >= 2
    assert all("/upload/lone-upload/progress" in url for url in urls)
    assert "lastEventId=" in urls[-1]
    assert blank.evaluate("window.client.link") == "idle"


def test_many_uploads_share_one_stream(blank: Page, gates: Gates) -> None:
    """Five files at once: one stream is opened, never one for each, and it is closed at the end."""
    requests = requests_of(blank)
    start(blank)
    upload(blank, gates, *[f"shared-{n}" for n in range(5)])
    for n in range(5):
        wait_for_stage(blank, f"shared-{n}", "validating")
    gates.open_all()
    for n in range(5):
        wait_for_phase(blank, f"shared-{n}", "done")
    urls = stream_urls(requests)
    assert len(urls) == 1
    assert "/uploads/progress" in urls[0]
    wait_until(lambda: blank.evaluate("window.client.link") == "idle", "the stream is closed")


def test_three_bodies_at_a_time(blank: Page, gates: Gates) -> None:
    """The other files wait for their turn, so that small requests always find a connection."""
    start(blank)
    watched = """() => {
      const count = () => [...window.client.uploads.values()].filter((u) => u.state.phase === "sending").length;
      window.most = 0;
      window.client.observe(() => (window.most = Math.max(window.most, count())));
    }"""  # noqa: E501
    blank.evaluate(watched)
    gates.open_all()
    upload(blank, gates, *[f"turn-{n}" for n in range(7)], size=500_000)
    for n in range(7):
        wait_for_phase(blank, f"turn-{n}", "done")
    assert blank.evaluate("window.most") == 3


def test_a_service_without_the_shared_stream_is_followed_one_by_one(
    blank: Page, gates: Gates
) -> None:
    """Where `/uploads/progress` answers 404, uploads are followed by streams of their own."""
    blank.route(
        re.compile(r"/uploads(/progress)?(\?|$)"),
        lambda route: route.fulfill(status=404, body="{}"),
    )
    requests = requests_of(blank)
    gates.open_all()
    start(blank)
    upload(blank, gates, *[f"single-{n}" for n in range(4)])
    for n in range(4):
        wait_for_phase(blank, f"single-{n}", "done")
    assert any("/upload/single-" in url for url in stream_urls(requests))


@pytest.mark.parametrize("how", ["refused", "held back"])
def test_where_streams_are_blocked_it_polls(blank: Page, gates: Gates, how: str) -> None:
    """Something in between breaks or swallows streams: JSON brings the truth."""

    def block(route: Route) -> None:
        if "event-stream" not in route.request.headers.get("accept", ""):
            route.continue_()
        elif how == "refused":
            route.abort()

    blank.route("**/*progress*", block)
    start(blank, {"transport": "sse"})
    ids = [f"{how[:4]}-1", f"{how[:4]}-2"]
    upload(blank, gates, *ids)
    wait_until(lambda: blank.evaluate("window.client.link") == "polling", "polling")
    wait_for_stage(blank, ids[0], "validating")
    gates.open_all()
    for one in ids:
        wait_for_phase(blank, one, "done")
    blank.unroute_all(behavior="ignoreErrors")  # and lets go of what was held back


def test_a_lone_upload_is_polled_with_requests_that_wait(blank: Page, gates: Gates) -> None:
    """One upload and no streams: `Prefer: wait` with the ETag, so few requests bring quick news."""
    blank.route("**/*progress*", without_streams)
    requests = requests_of(blank)
    start(blank, {"transport": "sse"})
    upload(blank, gates, "long-poll")
    wait_until(lambda: blank.evaluate("window.client.link") == "polling", "polling")
    wait_until(lambda: waiting_requests(blank, requests), "a waiting request")
    gates.open_all()
    wait_for_phase(blank, "long-poll", "done")
    assert any("if-none-match" in r.headers for r in waiting_requests(blank, requests))


def waiting_requests(page: Page, requests: list[Request]) -> list[Request]:
    """Those of `requests` that ask the service to wait. Playwright delivers events inside its own
    calls only, so `page` is called first."""
    page.evaluate("0")
    return [request for request in requests if request.headers.get("prefer") == "wait=25"]


def without_streams(route: Route) -> None:
    if "event-stream" in route.request.headers.get("accept", ""):
        route.abort()
    else:
        route.continue_()


def test_one_listener_that_throws_stops_nobody(blank: Page, gates: Gates) -> None:
    """A broken listener is reported by the browser, and the others hear every event to the end."""
    gates.open_all()
    start(blank)
    blank.evaluate(
        """() => {
          window.reported = [];
          window.addEventListener("error", (e) => (window.reported.push(e.message), e.preventDefault()));
          window.client.observe(() => { throw new Error("mine") });
          window.heard = 0;
          window.client.observe(() => (window.heard += 1));
        }"""  # noqa: E501
    )
    upload(blank, gates, "throwing")
    wait_for_phase(blank, "throwing", "done")
    assert blank.evaluate("window.heard") == len(blank.evaluate("window.reported")) > 3


def test_a_signal_cancels_an_upload_on_the_service(
    blank: Page, paced: Service, user: User, gates: Gates
) -> None:
    """Aborting the signal that was given cancels the upload there, and `done` rejects."""
    start(blank)
    blank.evaluate(
        """({ text }) => {
          window.stop = new AbortController();
          const file = new File([text], "a.txt");
          const one = window.client.upload(file, { id: "signalled", signal: window.stop.signal });
          one.done.catch((error) => (window.error = { name: error.name, code: error.code }));
        }""",
        {"text": gated(gates)},
    )
    wait_for_stage(blank, "signalled", "validating")
    blank.evaluate("window.stop.abort()")
    wait_until(lambda: blank.evaluate("window.error"), "rejected")
    assert blank.evaluate("window.error") == {"name": "UploadError", "code": "cancelled"}
    answer = httpx.get(f"{paced.url}/upload/signalled", headers=user.headers).json()
    assert answer["status"] == "cancelled"


def test_cancelling_a_body_is_journaled_as_that(
    contexts: Callable[..., BrowserContext], paced: Service, user: User, gates: Gates
) -> None:
    """The service is told before the body is cut, so it never takes a cancel for a lost client."""
    context = contexts()
    user.sign_in(context, paced.url)
    page = context.new_page()
    page.goto(paced.url + "/api")
    slow(page, 600_000)
    start(page)

    def linger(route: Route) -> None:
        """Give a service whose client has left the time to notice."""
        url, until = f"{paced.url}/upload/cut-short", time.monotonic() + 2
        while time.monotonic() < until:
            if httpx.get(url, headers=user.headers).json()["status"] == "error":
                break
            time.sleep(0.02)
        route.continue_()

    page.route("**/upload/cut-short", linger)
    upload(page, gates, "cut-short", size=3_000_000)
    wait_until(lambda: (state(page, "cut-short").get("bytes") or 0) > 0, "bytes are leaving")
    page.evaluate("window.client.uploads.get('cut-short').cancel()")
    wait_for_phase(page, "cut-short", "cancelled")
    assert journal(paced, user, "cut-short")[-1]["stage"] == "cancelled"


def test_a_cancel_that_does_not_get_through_beside_the_body_is_sent_again(
    contexts: Callable[..., BrowserContext], paced: Service, user: User, gates: Gates
) -> None:
    """Once, when the body is out of its way."""
    context = contexts(faulty=True)
    user.sign_in(context, paced.url)
    page = context.new_page()
    page.goto(paced.url + "/api")
    slow(page, 600_000)
    start(page)
    asked: list[str] = []

    def first_fails(route: Route) -> None:
        asked.append(route.request.method)
        route.abort() if len(asked) == 1 else route.continue_()

    page.route("**/upload/crowded-out", first_fails)
    upload(page, gates, "crowded-out", size=3_000_000)
    wait_until(lambda: (state(page, "crowded-out").get("bytes") or 0) > 0, "bytes are leaving")
    failed = page.evaluate(
        "window.client.uploads.get('crowded-out').cancel().then(() => null, (e) => e.code)"
    )
    assert asked == ["DELETE", "DELETE"]
    # The service may have noticed first that the body was cut: then it is over as well.
    ends = ("cancelled", "failed")
    wait_until(lambda: state(page, "crowded-out")["phase"] in ends, "it is over")
    assert failed is None


def test_a_request_that_never_arrived_is_found_out(blank: Page, gates: Gates) -> None:
    """The POST breaks while all else works: the service is asked, and has never heard of it."""
    blank.route("**/upload", lambda route: route.abort())
    start(blank)
    upload(blank, gates, "never-arrived")
    wait_for_phase(blank, "never-arrived", "failed")
    assert state(blank, "never-arrived")["error"]["code"] == "network"


def test_an_upload_that_a_short_outage_swallowed_is_found_out(
    blank: Page, gates: Gates, line: Line
) -> None:
    """The line breaks before a byte has left and is mended: nothing hangs at zero for ever."""
    start(blank)
    blank.evaluate(FOLLOW, "somebody-elses")
    wait_until(lambda: blank.evaluate("window.client.link") == "live", "live")
    line.cut()
    upload(blank, gates, "swallowed")
    wait_for_phase(blank, "swallowed", "checking")
    line.mend()
    wait_for_phase(blank, "swallowed", "failed")
    assert state(blank, "swallowed")["error"]["code"] == "network"


def test_an_id_in_use_is_refused_in_words(blank: Page, gates: Gates) -> None:
    """The service's own problem document reaches the caller: code, sentence, and no retry loop."""
    gates.open_all()
    for attempt in range(2):
        start(blank)
        upload(blank, gates, "twice")
        wait_for_phase(blank, "twice", "failed" if attempt else "done")
    assert state(blank, "twice")["error"]["code"] == "upload_id_in_use"


# ---- tokens


def test_an_expired_token_is_asked_for_and_work_goes_on(
    contexts: Callable[..., BrowserContext], paced: Service, user: User, gates: Gates
) -> None:
    """The page asks for a token, keeps uploads through its expiry, and goes on with a new one."""
    page = contexts(faulty=True).new_page()
    requests = requests_of(page)
    page.goto(paced.url + "/")
    link(page, "denied")
    sign_in(page, user.token(6))
    link(page, "live")
    send(page, gates.file("report.txt"))
    expect(card(page, "report.txt")).to_contain_text("validating has begun")
    link(page, "denied")
    phase(card(page, "report.txt"), "working")
    gates.open_all()
    sign_in(page, user.token())
    phase(card(page, "report.txt"), "done")
    assert not [r.url for r in requests if "token=" in r.url]


def sign_in(page: Page, value: str) -> None:
    page.get_by_label("Access token").fill(value)
    page.get_by_role("button", name="Continue").click()


def test_a_function_that_gives_tokens_is_asked_again_when_one_expires(
    contexts: Callable[..., BrowserContext], paced: Service, user: User, gates: Gates
) -> None:
    """With a token function an expiry is not even seen: the next attempt asks for a fresh one."""
    page = contexts(faulty=True).new_page()
    page.goto(paced.url + "/api")
    given: list[str] = []

    def give() -> str:
        given.append(user.token(4 if len(given) < 2 else 600))
        return given[-1]

    page.expose_function("giveToken", give)
    start(page, given="token: () => window.giveToken()")
    upload(page, gates, "renewed")
    wait_for_stage(page, "renewed", "validating")
    wait_until(lambda: "reconnecting" in page.evaluate("window.links"), "the stream ended")
    gates.open_all()
    wait_for_phase(page, "renewed", "done")
    assert "denied" not in page.evaluate("window.links")


def test_another_users_upload_is_forbidden(
    contexts: Callable[..., BrowserContext], paced: Service, user: User, gates: Gates
) -> None:
    """Following what is somebody else's ends with `forbidden`, and is not tried for ever."""
    page = contexts(faulty=True).new_page()
    page.goto(paced.url + "/api")
    start(page, {"token": user.token()})
    upload(page, gates, "private")
    wait_for_stage(page, "private", "validating")
    gates.open_all()
    wait_for_phase(page, "private", "done")
    start(page, {"token": User("somebody-else").token()})
    page.evaluate(FOLLOW, "private")
    wait_for_phase(page, "private", "failed")
    assert state(page, "private")["error"]["code"] == "forbidden"


def test_another_origin_may_use_it_with_a_token(
    contexts: Callable[..., BrowserContext], paced: Service, user: User, gates: Gates
) -> None:
    """A product on its own origin imports the module, sends and follows, if it is on the list."""
    page = contexts(bypass_csp=True).new_page()
    page.goto(paced.url.replace("127.0.0.1", "localhost") + "/api")
    options: dict[str, object] = {"token": user.token(), "url": paced.url}
    start(page, options, module=f"{paced.url}/client/index.js")
    upload(page, gates, "from-elsewhere")
    wait_for_stage(page, "from-elsewhere", "validating")
    gates.open_all()
    wait_for_phase(page, "from-elsewhere", "done")
    assert page.evaluate("location.origin") not in paced.url


def test_everybody_on_a_page_shares_one_client(blank: Page, user: User) -> None:
    """However the root is written and whoever gives tokens, a service has one client and stream."""
    assert blank.evaluate(
        """async () => {
          const { clientFor } = await import("./client/index.js");
          const one = clientFor({ url: "." });
          const same = [location.origin, location.origin + "/", "/", "healthz/..", undefined].map((url) => clientFor({ url }));
          same.push(clientFor({ token: () => "a" }), clientFor({ token: () => "b" }));
          return same.every((other) => other === one);
        }"""  # noqa: E501
    )
