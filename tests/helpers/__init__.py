"""What tests share: real servers, real files, raw bytes on real sockets."""
