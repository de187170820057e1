"""Runs, metrics and curves in MLflow."""
