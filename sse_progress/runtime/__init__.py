"""What a process needs of its machine: threads, Linux, Redis connections, logs, metrics.

Knows nothing of uploads.
"""
