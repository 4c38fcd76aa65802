"""The HTTP service. Types of Starlette and uvicorn stay in this package."""
