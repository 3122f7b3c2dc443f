"""Find a target and collect from it: one file a kind."""
