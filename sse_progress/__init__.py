"""sse_progress: the truth about an upload, live, from its first byte to its last stage."""

__all__: list[str] = []
