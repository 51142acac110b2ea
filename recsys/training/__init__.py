"""Fitting a model's weights, behind one door."""
