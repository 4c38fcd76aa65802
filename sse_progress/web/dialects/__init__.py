"""What the headers of resumable and plain uploads say: sans-I/O, one module per vocabulary."""
