"""A trained model put to work: sequences, peaks and variants of a user's own, scored and explained in a stream."""
