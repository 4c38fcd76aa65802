"""Bodies that come in several requests, or straight to the storage."""
