"""The client for threads, made from `_async` by scripts/generate, except for its backend."""
