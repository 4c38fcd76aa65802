"""What looks for content that may not be here."""
