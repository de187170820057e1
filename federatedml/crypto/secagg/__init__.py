"""Secure aggregation: the sum of many parties' vectors, and nothing else of them."""
