"""What a file is, and how to read each kind within bounds."""
