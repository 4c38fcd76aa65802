"""The npm package from its archive: linted, imported in Node, and used by React and Vue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.gates import Gates
from tests.browser.users import User
from tests.helpers.commands import run
from tests.helpers.service import ROOT, Service

MODULES = ROOT / "tests" / "js" / "node_modules"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `npm publish` would send."""
    place = tmp_path_factory.mktemp("npm")
    browser = ROOT / "sse_progress" / "browser"
    run("npm", "pack", "--silent", "--pack-destination", str(place), cwd=browser)
    [packed] = place.glob("*.tgz")
    return packed


@pytest.fixture(scope="module")
def app(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app that has installed the archive, beside React, Vue and a bundler."""
    place = tmp_path_factory.mktemp("app")
    modules = place / "node_modules"
    modules.mkdir()
    for installed in MODULES.iterdir():
        (modules / installed.name).symlink_to(installed)
    package = modules / "sse-progress-client"
    package.mkdir()
    run("tar", "-xzf", str(archive), "--strip-components=1", "-C", str(package), cwd=place)
    (place / "hooks.jsx").write_text((ROOT / "tests" / "js" / "hooks.jsx").read_text())
    return place


def test_linters_of_packages_find_nothing(archive: Path) -> None:
    """publint and arethetypeswrong, for everyone who imports ES modules."""
    run(str(MODULES / ".bin" / "attw"), "--profile=esm-only", str(archive), cwd=archive.parent)
    run(str(MODULES / ".bin" / "publint"), "--strict", str(archive), cwd=archive.parent)


def test_the_archive_has_its_license_and_every_module(app: Path) -> None:
    """LICENSE is the project's own; each entry of `exports` is there with its types."""
    package = app / "node_modules" / "sse-progress-client"
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    for name, entry in json.loads((package / "package.json").read_text())["exports"].items():
        for path in [entry] if isinstance(entry, str) else entry.values():
            assert (package / path).is_file(), name


def test_a_server_renders_with_it(app: Path) -> None:
    """Panel and hooks can be imported where there is no document, and render nothing."""
    esbuild = str(app / "node_modules" / ".bin" / "esbuild")
    (app / "server.mjs").write_text(
        'import "sse-progress-client/panel"; import { onServer } from "./hooks.jsx";'
        "console.log(onServer());"
    )
    built = ["--bundle", "--platform=node", "--format=cjs", "--outfile=server.cjs"]
    run(esbuild, "server.mjs", *built, "--log-level=error", cwd=app)
    assert run("node", "server.cjs", cwd=app).strip() == "<ul></ul>"


def test_react_under_strict_mode_and_vue_show_an_upload_to_its_end(
    app: Path, context: BrowserContext, paced: Service, gates: Gates, user: User
) -> None:
    """Both show the same states to the end, of the client that every option of theirs names; both
    give `<upload-drop>` its attributes and properties, and hear its events."""
    esbuild = str(app / "node_modules" / ".bin" / "esbuild")
    built = ["--bundle", "--format=iife", "--global-name=hooks", "--outfile=hooks.js"]
    development = '--define:process.env.NODE_ENV="development"'
    run(esbuild, "hooks.jsx", *built, development, "--log-level=error", cwd=app)
    page = context.new_page()
    page.goto(paced.url + "/api")
    page.evaluate((app / "hooks.js").read_text() + "; window.hooks = hooks;")
    assert page.evaluate("() => hooks.elements('/')") == [[True, "title", "sent"]] * 2
    page.evaluate("() => { window.stop = hooks.inBrowser('/'); }")
    expect(page.locator("#react ul")).to_be_attached()
    text = gates.file("any.txt").read_text()
    page.evaluate("(text) => void uploadByReact(new File([text], 'photo.txt'))", text)
    for place in ("#react li", "#vue"):
        expect(page.locator(place)).to_have_text("photo.txt: working")
    assert page.evaluate("() => hooks.known('/')") == 1
    gates.open_all()
    for place in ("#react li", "#vue"):
        expect(page.locator(place)).to_have_text("photo.txt: done")
    page.evaluate("() => window.stop()")
    expect(page.locator("#react li")).to_have_count(0)
