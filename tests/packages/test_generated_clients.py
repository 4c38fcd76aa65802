"""Clients made from /openapi.json by others' generators upload a file and list it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.helpers import commands
from tests.helpers.media import jpeg
from tests.helpers.service import ROOT, Service

MODULES = ROOT / "tests" / "js" / "node_modules"
PROGRAMS = os.pathsep.join(
    [str(Path(sys.executable).parent), str(MODULES / ".bin"), os.environ["PATH"]]
)
run = partial(commands.run, env={**os.environ, "PATH": PROGRAMS, "NODE_PATH": str(MODULES)})


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service")) as one:
        yield one


@pytest.fixture
def place(service: Service, tmp_path: Path) -> Path:
    """With the description as it is served, and a picture."""
    (tmp_path / "openapi.json").write_text(httpx.get(f"{service.url}/openapi.json").text)
    (tmp_path / "photo.jpg").write_bytes(jpeg())
    (tmp_path / "node_modules").symlink_to(MODULES)
    return tmp_path


def test_linters_find_nothing(place: Path) -> None:
    """Redocly and Spectral, with the rules of tests/js/redocly.yaml and spectral.yaml."""
    js = ROOT / "tests" / "js"
    run("redocly", "lint", "openapi.json", "--config", js / "redocly.yaml", cwd=place)
    severe = ("--fail-severity", "hint")
    run("spectral", "lint", "openapi.json", "-r", js / "spectral.yaml", *severe, cwd=place)


PYTHON = """
import json, sys
from made import Client
from made.api.uploads import get_uploads, post_upload, put_upload
from made.models import PostUploadBody
from made.types import File

client = Client(base_url=sys.argv[1])
photo = open("photo.jpg", "rb")
body = PostUploadBody(file=File(payload=photo, file_name="photo.jpg", mime_type="image/jpeg"))
sent = post_upload.sync(client=client, body=body, x_upload_id="from-python")
plain = File(payload=open("photo.jpg", "rb"), file_name="photo.jpg")
put = put_upload.sync(client=client, upload_id="by-put", body=plain, filename="photo.jpg")
listed = get_uploads.sync(client=client)
print(json.dumps([
    sent.data.media.content_type, put.data.media.filename,
    sorted((one.upload_id, one.status) for one in listed.uploads),
]))
"""


def test_a_client_by_openapi_python_client(service: Service, place: Path) -> None:
    """Its functions send a form and a plain body, and read the list."""
    made = ("--output-path", "made", "--meta", "none")
    run("openapi-python-client", "generate", "--path", "openapi.json", *made, cwd=place)
    told = json.loads(run(sys.executable, "-c", PYTHON, service.url, cwd=place))
    content_type, filename, listed = told
    assert (content_type, filename) == ("image/jpeg", "photo.jpg")
    assert {"by-put", "from-python"} <= {upload_id for upload_id, _ in listed}
    assert {status for _, status in listed} == {"complete"}


TYPESCRIPT = """
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

export async function main(url: string, file: Blob): Promise<(string | undefined)[]> {
  const client = createClient<paths>({ baseUrl: url });
  const form = new FormData();
  form.append("file", file, "photo.jpg");
  const sent = await client.POST("/upload", {
    params: { header: { "X-Upload-ID": "from-typescript" } },
    body: { file: "" },
    bodySerializer: () => form,
  });
  if (sent.error) throw new Error(sent.error.detail);
  const media = sent.data && "data" in sent.data ? sent.data.data.media : undefined; // or 202
  const listed = await client.GET("/uploads", { params: { query: { status: "complete" } } });
  const uploads: components["schemas"]["State"][] = listed.data?.uploads ?? [];
  return [media?.contentType, uploads.find((one) => one.uploadId === "from-typescript")?.status];
}
"""


def test_types_by_openapi_typescript(service: Service, place: Path) -> None:
    """They compile strictly, and openapi-fetch sends and lists by them."""
    run("openapi-typescript", "openapi.json", "-o", "api.d.ts", cwd=place)
    (place / "main.ts").write_text(TYPESCRIPT)
    checks = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022")
    run("tsc", *checks, "--module", "esnext", "--moduleResolution", "bundler", "main.ts", cwd=place)
    bundle = ("--bundle", "--format=esm", "--platform=node", "--outfile=main.mjs")
    run("esbuild", "main.ts", *bundle, "--log-level=error", cwd=place)
    code = (
        'import { main } from "./main.mjs"; import { openAsBlob } from "node:fs";'
        f'console.log(JSON.stringify(await main({service.url!r}, await openAsBlob("photo.jpg"))));'
    )
    told = run("node", "--no-warnings", "--input-type=module", "-e", code, cwd=place)
    assert json.loads(told) == ["image/jpeg", "complete"]
