"""Reading and writing of arrays as HDF5, of which anybody may have written what is read."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic

_OF_OTHERS = "do not use a file that you cannot vouch for"
# Deflate packs at most 1,032 bytes into one; small datasets may be what they like.
_MOST_PACKED, _FREE_BYTES = 1100, 1 << 20
_GZIP_LEVEL = 4


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


def write_arrays(file: h5py.File, arrays: Mapping[str, np.ndarray], rows: int | None, **options: Any) -> None:
    """Write arrays as gzip-compressed HDF5 datasets in chunks of ``rows`` (None: HDF5's choice), with checksums.

    ``options`` are those of ``h5py.Group.create_dataset``. Empty arrays, which have no chunks, are not compressed.
    """
    for name, values in arrays.items():
        how: dict[str, Any] = {}
        if values.size:
            how = {"compression": "gzip", "compression_opts": _GZIP_LEVEL, "fletcher32": True} | options
            how |= {"chunks": (min(rows, len(values)), *values.shape[1:])} if rows else {}
        file.create_dataset(name, data=values, **how)


class Arrays:
    """Datasets and attributes of an open HDF5 file; see ``open_hdf5``."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def __getitem__(self, name: str) -> h5py.Dataset:
        """Return a dataset; InputError where its values lie elsewhere or cannot be in the file, KeyError without it."""
        found = self._found(name)
        if not isinstance(found, h5py.Dataset):
            raise KeyError(name)
        if found.external or found.is_virtual:
            raise InputError(f"the values of {name} lie in another file, which could be any of yours; {_OF_OTHERS}")
        if found.size * found.dtype.itemsize > _MOST_PACKED * found.id.get_storage_size() + _FREE_BYTES:
            raise InputError(f"{name} claims {found.size:,} values, far more than the file can hold")
        return found

    def names(self, group: str) -> list[str]:
        """Return what a group holds; nothing where there is none."""
        try:
            return list(self._found(group))
        except KeyError:
            return []

    def _found(self, name: str) -> Any:
        """Return what has a name; InputError where it is a link, KeyError where there is nothing."""
        found: Any = self._file
        for part in name.split("/"):
            link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
            if link is None:
                raise KeyError(name)
            if not isinstance(link, h5py.HardLink):
                raise InputError(f"{name} is a link, which could lead to another file of yours; {_OF_OTHERS}")
            found = found[part]
        return found

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the file, numpy's numbers as Python's."""
        attributes = self._file.attrs.items()
        return {str(key): value.item() if isinstance(value, np.generic) else value for key, value in attributes}


@contextmanager
def open_hdf5(path: str | Path, what: str, names: Iterable[str]) -> Iterator[Arrays]:
    """Open an HDF5 file that holds the datasets ``names``, for reading; ``what`` it holds is for messages.

    The file may be anybody's: HDF5 can show another file's bytes, any that its reader may read, as its own values.
    InputError where it is missing, damaged, of another kind or does so; those raised while it is open name the file
    too.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; it should hold {what}")
    try:
        with h5py.File(path, "r") as file:
            arrays, missing = Arrays(file), []
            for name in names:
                try:
                    arrays[name]
                except KeyError:
                    missing.append(name)
            if missing:
                raise InputError(f"it is HDF5 but lacks {', '.join(missing)}")
            yield arrays
    except InputError as error:
        raise InputError(f"{path} cannot be used as {what}: {error}") from None
    # Values of another type than was written, such as numbers for names, are ValueErrors and TypeErrors.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read as HDF5; it is cut short, damaged or of another format ({error}). "
            "Delete it and rebuild it."
        ) from None
