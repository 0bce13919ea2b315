"""Use of a trained model: a user's own sequences, peaks and variants, scored and explained in a stream."""
