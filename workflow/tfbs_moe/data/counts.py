"""Count the rows that enter and leave every step that may lose some."""

import pandas as pd

from tfbs_moe.errors import LeftOutError

COLUMNS = ("step", "rows_in", "rows_out", "reason")


class Counts:
    """The counts table of a chain of steps: what one step lets through enters the next, ``rows`` the first."""

    def __init__(self, rows: int = 0) -> None:
        self.rows = rows
        self._steps: list[tuple[str, int, int, str]] = []

    def copy(self) -> "Counts":
        """Return an independent copy."""
        other = Counts(self.rows)
        other._steps = list(self._steps)
        return other

    @property
    def first(self) -> int:
        """Number of rows that entered the first step."""
        return self._steps[0][1] if self._steps else self.rows

    def begin(self, step: str, rows: int, reason: str) -> None:
        """Start a new chain with ``rows`` rows from elsewhere."""
        self.rows = rows
        self._steps.append((step, rows, rows, reason))

    def drop(self, step: str, lost: int, reason: str) -> None:
        """Record that a step lost ``lost`` rows, even where it lost none."""
        if not 0 <= lost <= self.rows:
            raise ValueError(f"step {step} cannot lose {lost} of {self.rows} rows")
        self._steps.append((step, self.rows, self.rows - lost, reason))
        self.rows -= lost

    def add(self, step: str, gained: int, reason: str) -> None:
        """Record that a step added ``gained`` rows."""
        self._steps.append((step, self.rows, self.rows + gained, reason))
        self.rows += gained

    def note(self, step: str, changed: int, reason: str) -> None:
        """Record rows that a step changed and kept, if there are any."""
        if changed:
            self._steps.append((step, self.rows, self.rows, f"{reason}: {changed} rows"))

    def table(self) -> pd.DataFrame:
        """Return the columns ``step``, ``rows_in``, ``rows_out``, ``reason``."""
        return pd.DataFrame(self._steps, columns=list(COLUMNS))

    def require_rows(self, subject: str) -> None:
        """Raise LeftOutError, with the losses as its reason, where no row is left."""
        if not self.rows:
            lost = "; ".join(f"{before - after} {reason}" for _, before, after, reason in self._steps if after < before)
            raise LeftOutError(f"{subject}: no row is left. Rows were lost to: {lost or 'nothing; there was none'}")
