"""Private set intersection by oblivious transfer (Kolesnikov, Kumaresan, Rosulek, Trieu 2016)."""
