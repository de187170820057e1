"""Paillier's cryptosystem on GMP: keys, noise, vectors, linear maps."""
