"""Storage in a bucket of an S3 server: chunk objects at first, plain objects once published."""
