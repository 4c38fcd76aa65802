"""Pictures: opening, facts, copies, removing metadata."""
