"""For mkdocs: reference/http.md is written from the service's own OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sse_progress import __version__
from sse_progress.web.app import ROUTES
from sse_progress.web.description.openapi import document

PAGE = "reference/http.md"
Object = dict[str, Any]


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    return f"{markdown}\n{reference()}" if page.file.src_uri == PAGE else markdown


def reference() -> str:
    whole = document(ROUTES, version=__version__, prefix="", tokens=True)
    lines: list[str] = []
    for tag in whole["tags"]:
        lines += [f"## {tag['name']}", "", tag["description"], ""]
        for path, methods in whole["paths"].items():
            shared = methods.get("parameters", [])
            for method, described in methods.items():
                if method != "parameters" and tag["name"] in described["tags"]:
                    lines += _operation(f"{method.upper()} {path}", described, shared)
    lines += ["## Schemas", ""]
    for name, schema in sorted(whole["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "\n".join(lines)


def _operation(title: str, described: Object, shared: list[Object]) -> Iterator[str]:
    yield from (f"### `{title}`", "", f"{described['summary']}.".replace("..", "."), "")
    if "description" in described:
        yield from (described["description"], "")
    parameters = [*shared, *described.get("parameters", [])]
    if parameters:
        yield from ("| parameter | in | |", "|---|---|---|")
        for one in parameters:
            text = _cell(one.get("description", ""))
            yield f"| `{one['name']}` | {one['in']} | {text} |"
        yield ""
    body = described.get("requestBody", {}).get("content", {})
    if body:
        kinds = (f"`{kind}`{_of(content)}" for kind, content in body.items())
        yield from (f"Body: {', '.join(kinds)}", "")
    yield from ("| response | | |", "|---|---|---|")
    for status, answer in described["responses"].items():
        shown = (
            _type(one["schema"]) for one in answer.get("content", {}).values() if "schema" in one
        )
        yield f"| {status} | {', '.join(dict.fromkeys(shown))} | {_cell(answer['description'])} |"
    yield ""


def _of(content: Object) -> str:
    schema = content.get("schema", {})
    return f" ({_type(schema)})" if "$ref" in schema else ""


def _schema(name: str, schema: Object) -> Iterator[str]:
    yield from (f"### {name}", "")
    if "description" in schema:
        yield from (schema["description"], "")
    if "properties" not in schema:
        yield from (_type(schema), "")
        return
    required = schema.get("required", [])
    yield from ("| member | type | |", "|---|---|---|")
    for member, one in schema["properties"].items():
        always = "" if member in required else "optional"
        text = ". ".join(word for word in (always, _cell(one.get("description", ""))) if word)
        yield f"| `{member}` | {_type(one)} | {text[:1].upper()}{text[1:]} |"
    yield ""


def _type(schema: Object) -> str:
    """A few words, with a link where a schema has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(one) for one in several)
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{json.dumps(value)}`" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    words = " or ".join(kind) if isinstance(kind, list) else kind
    return f"{words}, {schema['format']}" if "format" in schema else words


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
