"""From a ratings file to codes and row numbers."""
