"""The search for better settings, with the same budget for both families."""
