"""The command ``tfbs-moe``: a trained model put to work outside the workflow."""
