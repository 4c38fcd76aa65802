"""`python -m sse_progress` is `sse-progress`."""

from sse_progress.cli.main import main

main()
