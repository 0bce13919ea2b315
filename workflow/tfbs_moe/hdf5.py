"""HDF5 files built in memory and written at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from tfbs_moe.tables import atomic


@contextmanager
def new_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file in memory and write it to ``path`` on success; InputError if it cannot be written.

    HDF5 itself, on a full disk, ends the process without a message when it closes the file.
    """
    with h5py.File(Path(path).name, "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with atomic(path) as temporary:
        temporary.write_bytes(image)
