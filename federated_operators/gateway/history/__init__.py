"""Checks what the gateways of several parties have on disk against the contract of a job."""
