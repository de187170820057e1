"""Version 1 of the contracts. Generated modules are committed; `make proto` writes them anew."""
