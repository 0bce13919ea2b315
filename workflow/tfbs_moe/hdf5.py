"""HDF5 files that are made in memory and written in one piece."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from tfbs_moe.tables import atomic


@contextmanager
def new_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file in memory; on success it is written to ``path``.

    The library itself does not survive a full disk: it ends the process, without a message, when it closes a file
    that it could not write.

    Raises:
        InputError: the disk is full, or nothing can be written there.
    """
    with h5py.File(Path(path).name, "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with atomic(path) as temporary:
        temporary.write_bytes(image)
