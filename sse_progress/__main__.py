"""`python -m sse_progress` is `sse-progress`."""

import sys

from sse_progress.runtime.handed_over import take_over
from sse_progress.runtime.linux import harden_this_process

if sys.platform == "linux":
    harden_this_process()  # the environment holds keys, and what is imported now takes its time
    take_over()

from sse_progress.cli.entry import main  # what comes first is said above

main()
