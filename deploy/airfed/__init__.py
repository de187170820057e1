"""The composition root: command line, supervisor of a party, demo."""
