"""Page, panel and drop area in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import live_page
from tests.browser.gates import Gates
from tests.browser.looking import card, entry, phase, send, show_panel
from tests.browser.users import User
from tests.helpers.service import Service

ENGLISH = re.compile(r"\b(the|file|files|Upload|Uploading|Processing|Cancel|Validating|Done)\b")


@pytest.mark.parametrize(
    ("locale", "headline", "working", "done"),
    [
        ("de-DE", "Datei senden", "1 Datei wird verarbeitet", "Fertig"),
        ("es-MX", "Envíe un archivo", "Procesando 1 archivo", "Listo"),
        ("fr-FR", "Envoyez un fichier", "Traitement de 1 fichier", "Terminé"),
        ("pt-BR", "Send a file", "Processing 1 file", "Done"),
    ],
)
def test_a_browser_shows_its_own_language(
    contexts: Callable[..., BrowserContext],
    paced: Service,
    user: User,
    gates: Gates,
    locale: str,
    headline: str,
    working: str,
    done: str,
) -> None:
    """Words, plurals, units and `lang` are the reader's; a language without texts gets English."""
    context = contexts(locale=locale)
    user.sign_in(context, paced.url)
    page = live_page(context, paced.url)
    expect(page.locator("h1")).to_contain_text(headline)
    send(page, gates.file("a.txt"))
    expect(page.locator("upload-panel .headline")).to_contain_text(working)
    expect(card(page, "a.txt")).to_contain_text("validating has begun")  # the stage's own words
    gates.open_all()
    phase(card(page, "a.txt"), "done")
    expect(card(page, "a.txt").locator(".badge")).to_have_text(done)
    expect(entry(page, "a.txt").locator(".stage")).to_have_text(done)
    language = "en" if locale == "pt-BR" else locale[:2]
    expect(page.locator("html")).to_have_attribute("lang", language)
    show_panel(page)
    shown = page.locator("main").inner_text() + page.locator("upload-panel .panel").inner_text()
    assert bool(ENGLISH.search(shown)) == (language == "en"), shown
