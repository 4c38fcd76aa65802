"""Names of keys and channels."""

from __future__ import annotations

import re
from pathlib import Path

from redis.crc import key_slot

import sse_progress
from sse_progress.runtime.redis.keys import (
    DeliveryKeys,
    QueueKeys,
    batch_items_key,
    batch_name,
    ended_key,
    journal_channel,
    journal_keys,
    open_batches_key,
    open_key,
    owned_key,
    owner_channel,
    reviews_key,
    turn_channel,
)


def test_key_names_are_written_in_one_module() -> None:
    """No other Python module, and no script, spells a key."""
    root = Path(sse_progress.__file__).parent
    spelled = re.compile(r"""["'`]sp:""")
    found = {
        str(path.relative_to(root))
        for ending in ("*.py", "*.lua")
        for path in root.rglob(ending)
        if spelled.search(path.read_text())
    }
    assert found == {"runtime/redis/keys.py"}


def test_what_one_script_touches_is_on_one_node() -> None:
    """A journal's keys and channels share a slot; so do a storage's queue and lists, an owner's
    list and channel, and a batch's journal and items."""
    batch, deliveries = batch_name("b"), DeliveryKeys("s")
    for names in (
        (*journal_keys("up"), journal_channel("up"), turn_channel("up")),
        (
            *QueueKeys.of("s"),
            QueueKeys.channel("s"),
            open_key("s"),
            ended_key("s", "webhooks"),
            open_batches_key("s"),
            reviews_key("s"),
            deliveries.due,
            deliveries.one("d"),
        ),
        (owned_key("ann"), owner_channel("ann")),
        (*journal_keys(batch), batch_items_key("b")),
    ):
        assert len({key_slot(name.encode()) for name in names}) == 1


def test_an_owner_is_not_readable_in_a_key() -> None:
    """Owners may be e-mail addresses, and hold any character."""
    assert "ann" not in owned_key("ann@example.org")
    assert owned_key("ann") != owned_key("bob")
    assert "}" not in owned_key("a}b").removeprefix("sp:u:{").removesuffix("}:uploads")


def test_a_queue_has_its_keys_in_the_order_of_its_scripts() -> None:
    """The order is the one in the heads of both scripts."""
    folder = Path(sse_progress.__file__).parent / "queue"
    (enqueue,) = re.findall(r"^-- KEYS: ([a-z ]+)", (folder / "enqueue.lua").read_text(), re.M)
    head = (folder / "report.lua").read_text().partition("-- ARGV")[0]
    report = re.findall(r"^--(?: KEYS:|      ) (\w+) +(?:sorted set|hash):", head, re.M)
    assert enqueue.split() == report == list(QueueKeys._fields)
