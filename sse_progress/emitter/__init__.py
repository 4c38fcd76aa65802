"""Journals to their followers, live, over one pub/sub connection per process."""
