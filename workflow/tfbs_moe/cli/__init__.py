"""The command ``tfbs-moe``: trained models used outside the workflow."""
