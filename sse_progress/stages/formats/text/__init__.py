"""Plain text: what kind, which encoding and language, tables."""
