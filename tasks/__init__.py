"""The Prefect tasks: what the orchestrator must know of each step, and no arithmetic."""
