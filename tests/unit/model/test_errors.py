"""Problems: codes, statuses and sentences as the contract (§5) has them."""

from __future__ import annotations

import pickle
import re

import pytest

from sse_progress.model.errors import (
    DETAIL_LIMIT,
    PROBLEMS,
    Internal,
    Problem,
    Rejected,
    TooLarge,
    Unavailable,
    problem_for,
)
from sse_progress.web.protocol.http_protocol import HeadTooLarge, UriTooLong

CONTRACT = {
    "invalid_upload_id": 400,
    "malformed_multipart": 400,
    "unexpected_part": 400,
    "unknown_kind": 400,
    "missing_context": 400,
    "invalid_context": 400,
    "inconsistent_length": 400,
    "digest_mismatch": 400,
    "checksum_mismatch": 460,
    "unsupported_version": 412,
    "mismatching_offset": 409,
    "replaced": 409,
    "batch_closed": 409,
    "upload_gone": 410,
    "unauthenticated": 401,
    "forbidden": 403,
    "unknown_upload": 404,
    "method_not_allowed": 405,
    "upload_id_in_use": 409,
    "already_finished": 409,
    "cancelled": 409,
    "receive_timeout": 408,
    "too_large": 413,
    "unsupported_media_type": 415,
    "rejected_type": 422,
    "empty_file": 422,
    "corrupt_file": 422,
    "decompression_bomb": 422,
    "malware": 422,
    "moderation_refused": 422,
    "too_many_uploads": 429,
    "too_many_streams": 429,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
    "insufficient_storage": 507,
    "quota_exceeded": 507,
}
"""The table of the contract, but for the codes that no answer ever carries."""
JOURNAL_ONLY = {"client_disconnected", "server_lost", "upload_expired", "producer_lost"}
OF_STAGES = {code for code, status in CONTRACT.items() if status == 422}
FURTHER = {
    "too_many_subscriptions": 429,
    "bad_request": 400,
    "not_found": 404,
    "stage_timeout": 422,
    "invalid_stage": 422,
    UriTooLong.code: 414,
    HeadTooLarge.code: 431,
}
"""Beside the contract's; the last two are declared where request heads are read."""


@pytest.mark.parametrize(("code", "status"), [*CONTRACT.items(), *FURTHER.items()])
def test_a_code_has_its_status(code: str, status: int) -> None:
    """Every row of the table answers with its status, and so does the problem made from it."""
    assert problem_for(code).status == status
    assert problem_for(code).status == status
    assert problem_for(code).code == code


def test_no_code_stands_twice_and_none_is_unlisted() -> None:
    """Codes are declared once; a new one is added to the table above with its status."""
    codes = [problem.code for problem in PROBLEMS]
    assert len(codes) == len(set(codes))
    assert set(codes) == (set(CONTRACT) - OF_STAGES) | set(FURTHER) | JOURNAL_ONLY


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.code)
def test_a_problem_speaks_one_plain_sentence(kind: type[Problem]) -> None:
    """Without a detail a problem says its sentence: one line, a full stop, no internals."""
    problem = kind()
    assert re.fullmatch(r"[a-z][a-z0-9_]*", problem.code)
    assert problem.detail == kind.sentence
    assert problem.detail.endswith((".", "}."))
    assert "\n" not in problem.detail
    assert len(problem.detail) <= DETAIL_LIMIT
    assert 400 <= problem.status < 600
    assert str(problem) == f"{problem.code}: {problem.detail}"


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.code)
def test_a_journals_end_becomes_the_same_problem_again(kind: type[Problem]) -> None:
    """Code and detail of an `error` event give the class, status and text that they came from."""
    again = problem_for(kind.code, "What was found.")
    assert type(again) is kind
    assert (again.detail, again.status) == ("What was found.", kind.status)
    assert type(problem_for(kind.code, None)) is kind
    assert problem_for(kind.code, None).detail == kind.sentence


def test_a_code_of_a_stage_is_a_refusal() -> None:
    """An unlisted code was chosen by a stage: 422, kept as it is."""
    problem = problem_for("too_loud", "The sound is too loud.")
    assert isinstance(problem, Rejected)
    assert (problem.code, problem.status, problem.detail) == (
        "too_loud",
        422,
        "The sound is too loud.",
    )
    assert problem_for("too_loud").status == 422


def test_refusals_do_not_share_their_code() -> None:
    """`code` is set on the one refusal, never on the class."""
    first, second = Rejected("first"), Rejected("second")
    assert (first.code, second.code, Rejected.status) == ("first", "second", 422)
    assert Problem.code == "internal"


def test_a_refusal_travels_between_processes() -> None:
    """Pickled and back it has its code and detail."""
    again = pickle.loads(pickle.dumps(Rejected("malware", "EICAR was found.")))
    assert (again.code, again.detail) == ("malware", "EICAR was found.")


def test_details_are_cut() -> None:
    """200 characters are enough for one sentence."""
    assert len(TooLarge("x" * 1000).detail) == 200
    assert len(problem_for("odd", "x" * 1000).detail) == 200


def test_when_to_come_back_is_told_where_it_is_known() -> None:
    """`retry_after_s` is absent unless given."""
    assert Unavailable().retry_after_s is None
    assert Unavailable(retry_after_s=7).retry_after_s == 7


def test_the_root_stands_for_internal() -> None:
    """An error that nobody named is 500 `internal`, and says nothing of what happened."""
    assert (Internal().code, Internal().status) == ("internal", 500)
    assert Internal().detail == "The server had an internal error."
