"""Handlers: parse, call, respond. HTTP types live here and nowhere below."""
