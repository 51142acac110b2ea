"""What predicts a rating: stock Keras models and the baselines below them."""
