"""What is changed in uvicorn's protocol classes, and checked of it at start."""
