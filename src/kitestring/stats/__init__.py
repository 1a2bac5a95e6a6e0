"""Statistical tests and sample sizes: pure, of numbers alone."""
