"""Stage functions in child processes, under limits of memory, CPU and time."""
