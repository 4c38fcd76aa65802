"""What every request passes before it comes to a route, and every answer after it."""
