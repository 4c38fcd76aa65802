"""Stages of our own for uploaded texts, and a pipeline made of them alone."""
