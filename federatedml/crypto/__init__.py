"""The only place with number theory: groups, shares, keyed streams."""
