"""What the experiments table names, and how its files are found and fetched."""
