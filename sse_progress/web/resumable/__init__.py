"""Requests for bodies that may rest, and how they are answered; one module per dialect."""
