"""One append-only log per upload, on Redis: who may write it, and how it is read."""
