"""The laws of a history, a few to a module; `check_history` runs them all."""
