"""Linear maps on shares, with a dealer of correlated randomness."""
