"""The service on more than one Redis node: a Cluster, and a master that Sentinels name."""
