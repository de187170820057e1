"""Where partitions run."""
