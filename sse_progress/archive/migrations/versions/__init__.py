"""Revisions; what was released is not changed."""
