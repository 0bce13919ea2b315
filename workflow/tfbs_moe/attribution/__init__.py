"""Which bases a model looks at, and how that is judged."""
