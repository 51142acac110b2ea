"""Tables, plots, sentences and pages, all from one comparison."""
