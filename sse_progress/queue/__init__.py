"""Which uploads wait for work, and which worker has each."""
