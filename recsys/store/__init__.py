"""The artefact store: folders named by what made them, complete or absent, verified by digest."""
