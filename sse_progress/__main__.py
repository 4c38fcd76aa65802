"""`python -m sse_progress` is `sse-progress`."""

from sse_progress.cli import main

main()
