"""Statistical tests, effect sizes and power, each a function of numbers."""
