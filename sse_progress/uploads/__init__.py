"""What can be asked of an upload, without HTTP, and the parts that processes share."""
