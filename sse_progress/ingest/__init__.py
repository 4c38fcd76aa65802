"""A request body, from its first byte to stored and queued; one module per protocol."""
