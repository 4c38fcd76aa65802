"""Schemas of what is sent and answered, from the code's own types where there are some."""

from __future__ import annotations

import msgspec

from sse_progress.model.errors import PROBLEMS
from sse_progress.model.events import Error, Event
from sse_progress.model.media import Media
from sse_progress.model.stage_table import DEFAULT_TABLE
from sse_progress.model.verdicts import Verdict
from sse_progress.web.description.operations import Object, ref
from sse_progress.web.description.texts import describe

__all__ = ["all_schemas"]


def all_schemas() -> Object:
    """Of everything that is sent or answered, by name."""
    _, schemas = msgspec.json.schema_components(
        [Event, Error, Media, Verdict], ref_template="#/components/schemas/{name}"
    )
    event = schemas["Event"]
    event["properties"]["media"] = ref("Media")
    event["properties"]["stage"] = {
        "type": "string",
        "description": ", ".join(DEFAULT_TABLE)
        + "; a kind of upload may have others before its end.",
    }
    for name in ("progress", "stageProgress"):
        event["properties"][name] = {"type": "integer", "minimum": 0, "maximum": 100}
    event["properties"]["message"]["maxLength"] = 200
    event["properties"]["timestamp"] = {"type": "string", "format": "date-time"}
    for name in ("bytes", "total", "etaSeconds"):
        event["properties"][name] = {"type": "integer", "minimum": 0}
    fields = {k: v for k, v in event["properties"].items() if k != "type"}
    schemas["Status"] = {
        "type": "string",
        "enum": ["pending", "receiving", "processing", "complete", "error", "cancelled"],
    }
    schemas["State"] = {
        "type": "object",
        "description": "An upload's status, and the fields of its latest event.",
        "properties": {
            "status": ref("Status"),
            **fields,
            "offset": {
                "type": "integer",
                "minimum": 0,
                "description": "Of a resumable upload: bytes that need not be sent again.",
            },
            "expiresAt": {
                "type": "string",
                "format": "date-time",
                "description": "Until then a resumable upload has to be resumed.",
            },
            "deleted": _flag("true: it is complete, and its files are deleted."),
            "live": _flag("false: it is from the archive, not the journal."),
            "asOf": {
                "type": "string",
                "format": "date-time",
                "description": "When it was archived, if it is from the archive.",
            },
        },
        "required": ["status", "uploadId", "progress"],
    }
    schemas["State"]["properties"] |= {
        "size": {"type": "integer", "minimum": 0, "description": "Bytes, once it is stored."},
        "contentType": {
            "type": "string",
            "description": "As claimed; once it is complete, as detected.",
        },
        "fields": schemas["Media"]["properties"]["fields"],
        "queuePosition": {
            "type": "integer",
            "minimum": 1,
            "description": "While it waits: its place among all that wait, about.",
        },
        "title": {"type": "string", "description": "Of a job or a batch that has one."},
    }
    schemas["History"] = {
        **_object(
            uploadId={"type": "string"},
            live={"type": "boolean", "description": "Whether it is the journal itself."},
            epoch={"type": "string"},
            events={"type": "array", "items": ref("Event")},
            next={
                "type": ["string", "null"],
                "description": "Goes on after it (`since`), or if descending before it (`before`).",
            },
        )
    }
    schemas["History"]["properties"] |= {
        "reset": _flag("true: the position that was asked for is not in this journal."),
        "asOf": schemas["State"]["properties"]["asOf"],
    }
    schemas["Ticket"] = _object(
        ticket={"type": "string"}, expiresAt={"type": "string", "format": "date-time"}
    )
    schemas["Job"] = _object(uploadId={"type": "string"}, writer={"type": "string"})
    schemas["Told"] = _object(
        position={"type": "string", "description": "Where its journal stands."},
        merged={"type": "boolean", "description": "Left out: too soon after the last, or passed."},
    )
    schemas |= _batch_schemas(event)
    schemas |= _delivery_schemas()
    schemas["WaitingReview"] = _review_schema(event)
    schemas["Reviews"] = _object(reviews={"type": "array", "items": ref("WaitingReview")})
    schemas["Config"] = _config_schema()
    schemas["Problem"] = _problem_schema()
    schemas["Result"] = _object(
        success={"const": True},
        uploadId={"type": "string"},
        data=_object(media=ref("Media")),
    )
    schemas["Accepted"] = _object(
        success={"const": True}, uploadId={"type": "string"}, status={"const": "processing"}
    )
    part = {name: {"type": "integer"} for name in ("number", "offset", "length")}
    schemas["DirectUpload"] = _object(
        uploadId={"type": "string"},
        partSize={"type": "integer"},
        parts={"type": "array", "items": _object(**part)},
        expiresAt={"type": "string", "format": "date-time"},
    )
    signed = _object(
        method={"const": "PUT"},
        number={"type": "integer"},
        url={"type": "string"},
        headers={"type": "object", "additionalProperties": {"type": "string"}},
    )
    schemas["SignedParts"] = _object(parts={"type": "array", "items": signed})
    schemas["PartDone"] = _object(
        uploadId={"type": "string"},
        number={"type": "integer"},
        bytes={"type": "integer"},
        total={"type": "integer"},
    )
    schemas["Uploads"] = {
        "type": "object",
        "properties": {
            "uploads": {"type": "array", "items": ref("State")},
            "next": {"type": "string", "description": "Cursor for `after`; absent at the end."},
            "partial": _flag("true: older ones could not be asked for now."),
        },
        "required": ["uploads"],
    }
    describe(schemas)
    return schemas


def _batch_schemas(event: Object) -> Object:
    count = {"type": "integer", "minimum": 0}
    names = ("total", "complete", "error", "cancelled", "running")
    shared = ("type", "progress", "stage", "message", "timestamp", "stageProgress", "kind")
    properties: Object = {
        "batchId": {"type": "string"},
        **{name: event["properties"][name] for name in (*shared, "context", "error")},
        "items": _object(**dict.fromkeys(names, count)),
        "item": _object(uploadId={"type": "string"}, status={"type": "string"}),
    }
    batch: Object = {
        "type": "object",
        "description": "An event of a batch: its counts, and the item that it is about.",
        "properties": properties,
        "required": ["batchId"],
    }
    fields = {name: value for name, value in properties.items() if name != "type"}
    status = {"type": "string", "enum": ["processing", "complete", "cancelled"]}
    state = {**batch, "properties": {"status": status, **fields, "title": {"type": "string"}}}
    made = _object(batchId={"type": "string"})
    return {"BatchEvent": batch, "BatchState": state, "BatchMade": made}


def _delivery_schemas() -> Object:
    time = {"type": "string", "format": "date-time"}
    delivery = {
        **_object(
            id={"type": "string", "description": "The `webhook-id`."},
            type={"type": "string", "description": "Such as `upload.complete`."},
            uploadId={"type": "string"},
            status={"type": "string", "enum": ["waiting", "delivered", "failed"]},
            attempts={"type": "integer", "minimum": 0},
            createdAt=time,
        )
    }
    delivery["properties"] |= {
        "triedAt": time,
        "answer": {"type": "string", "description": "What came of the latest attempt."},
        "dueAt": {**time, "description": "When it is tried (again)."},
    }
    deliveries = {
        "type": "object",
        "properties": {
            "deliveries": {"type": "array", "items": ref("Delivery")},
            "next": {"type": "string", "description": "Cursor for `after`; absent at the end."},
        },
        "required": ["deliveries"],
    }
    return {"Delivery": delivery, "Deliveries": deliveries}


def _review_schema(event: Object) -> Object:
    names = ("uploadId", "stage", "filename", "kind", "context", "batchId")
    properties: Object = {
        **{name: event["properties"][name] for name in names},
        "owner": {"type": "string"},
        "since": {"type": "string", "format": "date-time"},
        "url": {"type": "string", "description": "Of the file, for a reviewer."},
        "reasons": {"type": "array", "items": {"type": "object"}},
        "scores": {"type": "object"},
        "notChecked": {"type": "array", "items": {"type": "string"}},
        "leasedUntil": {
            "type": "string",
            "format": "date-time",
            "description": "No other reviewer is given it until then.",
        },
    }
    required = ["uploadId", "owner", "since", "stage", "url"]
    return {"type": "object", "properties": properties, "required": required}


def _config_schema() -> Object:
    text, count = {"type": "string"}, {"type": "integer", "minimum": 0}
    texts = {"type": "array", "items": text}
    percent = {"type": "integer", "minimum": 0, "maximum": 100}
    kind = _titled(
        maxUploadBytes=count,
        acceptedTypes=texts,
        requiredContext=texts,
        files={"type": "boolean", "description": "Whether it takes files."},
        stages={
            "type": "array",
            "items": _titled(name=text, lo=percent, hi=percent),
        },
    )
    nullable = {"type": ["integer", "null"], "description": "null: no limit."}
    return _object(
        limits=_object(
            maxUploadBytes=count, maxFieldsBytes=count, maxUploads=nullable, maxStreams=nullable
        ),
        acceptedTypes=texts,
        kinds={"type": "object", "additionalProperties": kind},
    )


def _problem_schema() -> Object:
    codes = ", ".join(f"`{problem.code}`" for problem in PROBLEMS)
    text = {"type": "string", "maxLength": 200}
    schema = _object(
        type={"type": "string"},
        title={"type": "string"},
        status={"type": "integer"},
        detail=text,
        success={"const": False},
        error=text,
        code={"type": "string", "description": f"Stable: {codes}, or one chosen by a stage (422)."},
    )
    schema["description"] = "Problem details (RFC 9457)."
    schema["properties"]["upload"] = {
        **ref("State"),
        "description": "With `upload_id_in_use`: the state of the upload that has the id.",
    }
    return schema


def _flag(text: str) -> Object:
    """A member that is there or not; as a `const` it breaks what openapi-python-client makes."""
    return {"type": "boolean", "description": text}


def _object(**properties: Object) -> Object:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _titled(**properties: Object) -> Object:
    """An object with a title for people, and maybe with that title by language."""
    text = {"type": "string"}
    titles = {
        "type": "object",
        "additionalProperties": text,
        "description": "The title by language, where it has one in several.",
    }
    titled = _object(title=text, **properties)
    return {**titled, "properties": {**titled["properties"], "titles": titles}}
