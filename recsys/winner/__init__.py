"""The winner of a comparison put to use: its folder, predictions for pairs, and lists for users."""
