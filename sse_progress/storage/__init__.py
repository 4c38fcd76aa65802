"""Files on disk, from their first byte to the published object."""
