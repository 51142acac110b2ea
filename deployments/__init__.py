"""How the comparisons are run by others than a person at a terminal: what runs when, and on which server."""
