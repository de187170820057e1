"""One file a module: parameters, disclosure, the role functions side by side, model, scoring."""
