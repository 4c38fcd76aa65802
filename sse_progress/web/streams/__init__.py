"""Server-Sent Events as responses."""
