"""Faults at three real parties, and what a job must be like afterwards."""
