"""Pipelines as an operator would name them, good and bad."""

from __future__ import annotations

from typing import Any

from sse_progress.model.stage_api import Pipeline
from tests.stages_for_tests import asynchronous, ordinary

good: Pipeline = [
    ("validating", ordinary.nothing),
    ("analyzing", ordinary.echo),
    ("analyzing", asynchronous.here),
    ("processing", ordinary.nothing),
]
chatty: Pipeline = [("analyzing", ordinary.said)]


def made() -> Pipeline:
    return [("moderating", ordinary.nothing)]


def raises() -> Pipeline:
    raise RuntimeError("no model found")


by_name: Any = [("analyzing", "tests.stages_for_tests.heavy:measure")]
empty: Any = []
number: Any = 7
no_pairs: Any = [ordinary.nothing]
wrong_stage: Any = [("analysing", ordinary.nothing)]
own_stage: Any = [("finalizing", ordinary.nothing)]
wrong_order: Any = [("analyzing", ordinary.nothing), ("validating", ordinary.nothing)]
no_function: Any = [("analyzing", 7)]
has_lambda: Any = [("analyzing", lambda upload, report: None)]
one_argument: Any = [("analyzing", made)]
no_such_name: Any = [("analyzing", "tests.stages_for_tests.ordinary:missing")]
no_such_module: Any = [("analyzing", "tests.no_such_module:stage")]
