"""Tables and arrays in, figures out; no result is computed here."""
