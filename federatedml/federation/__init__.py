"""Who talks to whom and how: parties, typed topics, the wire format, the box of a role function."""
