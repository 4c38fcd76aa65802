"""Redis: connections of every kind, what keys are called, and fast paths beside redis-py."""
