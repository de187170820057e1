"""Tables: Arrow at rest, NumPy in memory, pandas at the edges."""
