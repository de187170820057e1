"""Scores and curves of predictions."""
