"""How the archive's tables come to be, one revision after the other (Alembic)."""
