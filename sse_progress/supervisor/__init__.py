"""The process of `sse-progress serve`: starts the others, restarts them, ends them."""
