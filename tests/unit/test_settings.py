"""Settings: their defaults, their documentation, and how a wrong one is told."""

from __future__ import annotations

import ast
import inspect
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sse_progress.settings import Secret, Settings, SettingsError, declared, load_settings


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("SSE_PROGRESS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


# ---- what holds without any


def test_the_defaults_are_those_of_the_contract() -> None:
    """Whoever sets nothing gets what the contract (§7) says, and a private Redis."""
    found = load_settings()
    assert found.host == "127.0.0.1"
    assert found.port == 8000
    assert found.data_dir == Path("data").absolute()
    assert found.redis_url is None
    assert found.prefix == ""
    assert found.max_upload_bytes == 1073741824
    assert found.answer_wait_s == 50
    assert found.retention_days is None
    assert found.web_processes == found.worker_processes == 1
    assert found.log_format == "console"
    assert found.cors_origins == ()
    assert found.pipeline is found.clamd is None
    assert found.heartbeat_s == 15
    assert found.stream_lifetime_s == 3600
    assert found.claim_ttl_s == 600
    assert found.journal_ttl_s == 24 * 3600
    assert found.receive_stall_s == 30
    assert found.receive_min_rate == 1024
    assert found.max_fields_bytes == 16 * 1024
    assert (found.nsfw_review, found.nsfw_refuse, found.clamd_fail) == (0.5, 0.8, "closed")


def test_per_user_limits_are_off_in_open_mode_unless_set() -> None:
    """With a key 20 streams and 5 bodies a user; without one nothing, or what was set."""
    opened = load_settings()
    assert opened.open_mode
    assert (opened.streams_per_user, opened.uploads_per_user) == (None, None)
    assert (opened.rate_per_user, opened.rate_per_address) == (None, None)
    assert load_settings(max_streams_per_user=3).streams_per_user == 3
    keyed = load_settings(jwt_secret="x" * 32)
    assert not keyed.open_mode
    assert (keyed.streams_per_user, keyed.uploads_per_user) == (20, 5)
    assert (keyed.rate_per_user, keyed.rate_per_address) == (600, 3000)
    assert load_settings(jwt_secret="x" * 32, max_uploads_per_user=1).uploads_per_user == 1


def test_every_setting_is_documented_in_place() -> None:
    """Below each field stands what it is; no setting has to be guessed."""
    tree = ast.parse(inspect.getsource(declared))
    (of_settings,) = (
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Declared"
    )
    documented = set()
    for node, following in zip(of_settings.body, of_settings.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = following.value if isinstance(following, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value:
                documented.add(node.target.id)
    assert documented == {each.name for each in fields(Settings)}


# ---- where they come from


def test_a_dot_env_file_is_read_and_the_environment_outweighs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line of `.env` is a setting; a variable of the same name wins; an option wins over both."""
    Path(".env").write_text("SSE_PROGRESS_PORT=9000\nSSE_PROGRESS_PREFIX=/from-file\nOTHER=1\n")
    assert (load_settings().port, load_settings().prefix) == (9000, "/from-file")
    monkeypatch.setenv("SSE_PROGRESS_PORT", "9001")
    assert load_settings().port == 9001
    assert load_settings(port=9002).port == 9002
    assert load_settings(port=None).port == 9001


def test_a_dot_env_file_in_the_data_directory_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What writes files there shall configure nothing, as where an image works in its volume; a
    file that is named counts wherever it is."""
    line = "SSE_PROGRESS_PORT=9000\n"
    for name, data_dir in (("a", "."), ("b", ".."), ("c", str(tmp_path))):
        here = tmp_path / name
        here.mkdir()
        (here / ".env").write_text(line)
        monkeypatch.chdir(here)
        assert load_settings(data_dir=data_dir).port == 8000
        monkeypatch.setenv("SSE_PROGRESS_DATA_DIR", data_dir)
        assert load_settings().port == 8000
        monkeypatch.delenv("SSE_PROGRESS_DATA_DIR")
        assert load_settings().port == 9000
    monkeypatch.setenv("SSE_PROGRESS_ENV_FILE", str(here / ".env"))
    assert load_settings(data_dir=".").port == 9000
    monkeypatch.setenv("SSE_PROGRESS_ENV_FILE", str(here / "missing"))
    with pytest.raises(SettingsError, match=r"SSE_PROGRESS_ENV_FILE.*is no file"):
        load_settings()


def test_a_process_that_checks_no_tokens_has_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither from its environment, which forgets them, nor from the file."""
    Path(".env").write_text(f"SSE_PROGRESS_JWT_SECRET={'f' * 32}\n")
    assert load_settings().jwt_secret is not None
    monkeypatch.setenv("SSE_PROGRESS_JWKS_URL", "https://idp.example/keys")
    settings = load_settings(token_keys=False)
    assert (settings.jwt_secret, settings.jwks_url, settings.jwt_public_key) == (None, None, None)
    assert "SSE_PROGRESS_JWKS_URL" not in os.environ


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SSE_PROGRESS_PORT=` in a compose file means that it is not set."""
    monkeypatch.setenv("SSE_PROGRESS_PORT", "")
    monkeypatch.setenv("SSE_PROGRESS_REDIS_URL", "")
    assert load_settings().port == 8000
    assert load_settings().redis_url is None


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks around a word and empty words do not count."""
    monkeypatch.setenv("SSE_PROGRESS_ALLOWED_TYPES", "image/*, text/plain ,,")
    monkeypatch.setenv("SSE_PROGRESS_CORS_ORIGINS", "https://a.example,http://localhost:3000")
    found = load_settings()
    assert found.allowed_types == ("image/*", "text/plain")
    assert found.cors_origins == ("https://a.example", "http://localhost:3000")


def test_paths_are_made_absolute_and_prefixes_plain() -> None:
    """Stages run in directories of their own, and a trailing slash would double every other."""
    assert load_settings(data_dir="x/y").data_dir == Path.cwd() / "x/y"
    assert load_settings(data_dir="~/up").data_dir == Path.home() / "up"
    assert load_settings(prefix="/api/media/").prefix == "/api/media"
    assert load_settings(prefix="/").prefix == ""


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", " 8_001 ", 8001),
        ("port", "+8001.0", 8001),
        ("answer_wait_s", "2", 2.0),
        ("answer_wait_s", "1e3", 1000.0),
        ("keep_location", "Yes", True),
        ("keep_location", "on", True),
        ("keep_location", "1", True),
        ("strip_metadata", "OFF", False),
        ("strip_metadata", "n", False),
        ("log_level", "debug", "debug"),
        ("yara_rules", "rules", Path("rules")),
        ("redis_url", "redis://a", Secret("redis://a")),
    ],
)
def test_a_text_is_read_as_people_write_it(
    name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the variable's name is in lower case, as in a file for another shell."""
    monkeypatch.setenv(f"sse_progress_{name}", text)
    found = getattr(load_settings(), name)
    assert (found, type(found)) == (value, type(value))


def test_lines_of_a_dot_env_file_may_name_other_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """`${NAME}` is the variable of that name, quotes are taken off, and an empty line is none."""
    monkeypatch.setenv("DOMAIN", "example.org")
    Path(".env").write_text(
        'export SSE_PROGRESS_CORS_ORIGINS="https://${DOMAIN}"\n'
        "SSE_PROGRESS_PORT=\nSSE_PROGRESS_HOST\nSSE_PROGRESS_PREFIX=/a # why\n"
    )
    found = load_settings()
    assert found.cors_origins == ("https://example.org",)
    assert (found.port, found.host, found.prefix) == (8000, "127.0.0.1", "/a")


def test_there_is_no_other_setting() -> None:
    """A program that misspells one is told, not ignored."""
    with pytest.raises(TypeError, match="no settings: prot"):
        load_settings(prot=1)


# ---- what is wrong


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("port", "http", "is not a whole number"),
        ("port", "65536", "is more than 65535"),
        ("port", "-1", "is less than 0"),
        ("port", "80.5", "is not a whole number"),
        ("port", "8001.", "is not a whole number"),
        ("answer_wait_s", "soon", "is not a number"),
        ("answer_wait_s", "nan", "is less than 0"),
        ("heartbeat_s", "nan", "is not more than 0"),
        ("nsfw_refuse", "nan", "is less than 0"),
        ("log_user_key", "too short", "is 9 characters, needs at least 16"),
        ("web_processes", "0", "is less than 1"),
        ("worker_concurrency", "65", "is more than 64"),
        ("prefix", "api", "must begin with '/'"),
        ("prefix", "/a b", "must be a plain path"),
        ("prefix", "/{x}", "must be a plain path"),
        ("redis_url", "http://redis", "must be one of redis://"),
        ("redis_url", "redis://a:6379,b:6379", "write redis+cluster://"),
        ("redis_url", "redis+sentinel://a:26379", "must name the master"),
        ("redis_url", "redis+cluster://:hush@a:6379/1", "has one database"),
        ("jwt_secret", "short", "is 5 bytes, needs at least 32"),
        ("cors_origins", "https://a.example/path", "is not an origin"),
        ("cors_origins", "*", "is not an origin: list each in full, without wildcards"),
        ("cors_origins", "https://*.example", "without wildcards"),
        ("cors_origins", "https://bücher.example:8443", "https://xn--bcher-kva.example:8443"),
        ("cors_origins", "https://" + "ü" * 70, "is not ASCII; browsers send 'https://xn--"),
        ("cors_origins", "null", "is not an origin"),
        ("cors_origins", "capacitor://", "is not an origin"),
        ("cors_origins", "https://user@a.example", "is not an origin"),
        ("max_upload_bytes", "0", "is less than 1"),
        ("heartbeat_s", "0", "is not more than 0"),
        ("stage_memory_bytes", "1", "is less than 67108864"),
        ("log_format", "xml", "is not console or json"),
        ("log_level", "loud", "is not debug, info, warning or error"),
        ("clamd_fail", "maybe", "is not closed or open"),
        ("moderation_api_key", "sk-…", "has a character that no key has"),
        ("nsfw_refuse", "1.5", "is more than 1"),
        ("retention_days", "0", "is not more than 0"),
        ("strip_metadata", "perhaps", "is neither true nor false"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line begins with the variable's name and says what is wrong with it."""
    monkeypatch.setenv(f"SSE_PROGRESS_{name.upper()}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    told = str(caught.value)
    assert told.startswith(f"SSE_PROGRESS_{name.upper()}: ")
    assert said in told
    assert "\n" not in told


def test_each_of_several_wrong_settings_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are told at once, so that one start is enough to mend them."""
    monkeypatch.setenv("SSE_PROGRESS_PORT", "x")
    monkeypatch.setenv("SSE_PROGRESS_LEASE_S", "-3")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "SSE_PROGRESS_PORT",
        "SSE_PROGRESS_LEASE_S",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"jwt_secret": "x" * 32, "jwks_url": "https://issuer.example/keys"},
            "set only one of SSE_PROGRESS_JWT_SECRET and SSE_PROGRESS_JWKS_URL",
        ),
        (
            {"nsfw_review": 0.9, "nsfw_refuse": 0.6},
            "SSE_PROGRESS_NSFW_REVIEW must not be above SSE_PROGRESS_NSFW_REFUSE (0.9 > 0.6)",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_named(given: dict[str, Any], said: str) -> None:
    """Both names stand in the one line."""
    with pytest.raises(SettingsError) as caught:
        load_settings(**given)
    assert str(caught.value) == said


def test_secrets_are_not_printed() -> None:
    """Neither a wrong secret nor a right one shows up in what is told or logged."""
    with pytest.raises(SettingsError) as caught:
        load_settings(jwt_secret="hush-hush")
    assert "hush" not in str(caught.value)
    with pytest.raises(SettingsError) as caught:
        load_settings(redis_url="http://user:hush@redis")
    assert "hush" not in str(caught.value)
    good = load_settings(jwt_secret="hush" * 8, redis_url="redis://:hush@localhost")
    assert "hush" not in repr(good)
    assert isinstance(good.redis_url, Secret)
    assert "hush" not in f"{good.redis_url}{good.redis_url!r}"


def test_settings_do_not_change() -> None:
    """What was checked once stays what it was."""
    with pytest.raises(AttributeError, match="cannot assign"):
        load_settings().port = 1  # type: ignore[misc]
