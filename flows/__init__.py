"""The flows: how the tasks are wired, and the command line."""
