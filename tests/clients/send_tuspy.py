"""Sends a file with tuspy as it is: python send_tuspy.py ENDPOINT FILE ID CHUNK_BYTES."""

from __future__ import annotations

import sys
from pathlib import Path

from tusclient.client import TusClient

endpoint, file, upload_id, chunk = sys.argv[1:]
client = TusClient(endpoint, headers={"X-Upload-ID": upload_id})
uploader = client.uploader(
    file,
    metadata={"filename": Path(file).name, "filetype": "text/plain", "album": "Sea"},
    chunk_size=int(chunk),
    retries=20,
    retry_delay=0,
)
uploader.upload()
sys.stdout.write(uploader.url)
