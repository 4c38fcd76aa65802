"""The client for asyncio. `_sync` is made from it by scripts/generate, except for its backend."""
