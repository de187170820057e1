"""Benchmarks: one name, one JSON line per figure."""
