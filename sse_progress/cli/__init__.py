"""The command line: arguments, commands, and what a terminal shows."""
