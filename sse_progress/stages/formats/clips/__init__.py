"""Video and sound: opening, facts, wholeness, single pictures."""
