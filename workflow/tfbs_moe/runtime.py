"""Seeds, device, threads, logging and error handling of every step; torch is imported only where needed."""

import fcntl
import gc
import hashlib
import logging
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from tfbs_moe.errors import InputError, PrintableFormatter, in_words, unwind_on_termination
from tfbs_moe.files import disk_problem
from tfbs_moe.locks import hold_as_job

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

# Lock files of the GPUs in use: kept open while the process lives, as closing one releases its lock.
_PLACES: list[IO[Any]] = []

# Values of CUDA_VISIBLE_DEVICES that schedulers set for a job without a GPU.
_NO_GPU = ("", "-1", "NoDevFiles")

DeviceRequest = Literal["auto", "cpu", "cuda"]


def named_seed(root: int, *names: object) -> int:
    """Derive a 63-bit seed from a root seed and the names of a random stream.

    Streams are independent, so a new one (the negatives of a new dataset, say) leaves all others unchanged.
    """
    text = "\0".join([str(root), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def rng(root: int, *names: object) -> np.random.Generator:
    """Return a NumPy generator for a named random stream; see ``named_seed``."""
    return np.random.default_rng(named_seed(root, *names))


def torch_rng(root: int, *names: object, device: "torch.device | str" = "cpu") -> "torch.Generator":
    """Return a torch generator for a named random stream; see ``named_seed``."""
    import torch

    return torch.Generator(device=device).manual_seed(named_seed(root, *names))


def select_device(request: DeviceRequest = "auto") -> "torch.device":
    """Return the device to compute on and log it; InputError if ``cuda`` is requested but torch finds no GPU."""
    import torch

    found = request != "cpu" and torch.cuda.is_available()
    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a CPU-only build"
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if request == "auto" and not found and given not in _NO_GPU:
        # Otherwise a study could run for days on the CPUs of GPU nodes unnoticed.
        log.warning(
            "this job was given a GPU (CUDA_VISIBLE_DEVICES=%s) but torch %s, %s, finds none: computing on the CPU",
            given, torch.__version__, build,
        )  # fmt: skip
    if request != "cuda" and not found:
        log.info("device: cpu (%d threads)", torch.get_num_threads())
        return torch.device("cpu")
    if not found:
        raise InputError(
            f"a GPU was requested (device: cuda) but torch {torch.__version__}, {build}, finds none. "
            "Check the driver with nvidia-smi and CUDA_VISIBLE_DEVICES, install a CUDA build of torch, "
            "or set device: auto or device: cpu in the config."
        )
    index = take_gpu(torch.cuda.device_count())
    torch.cuda.set_device(index)
    log.info("device: cuda:%d (%s)", index, torch.cuda.get_device_name())
    return torch.device("cuda")


def take_gpu(count: int, folder: str | Path | None = None) -> int:
    """Claim a slot on the GPU, of ``count`` visible ones, with the fewest jobs of this user; return its index.

    Snakemake counts a workstation's GPUs but does not assign them; without this every job would use the first. A slot
    is a file lock in ``folder`` (default: the system's temporary folder), so a killed job leaves none behind.
    """
    if count == 1:
        return 0
    folder = Path(folder or tempfile.gettempdir())
    place = 0
    while True:
        for index in range(count):
            lock = _own_lock_file(folder / f"tfbs_moe.{os.getuid()}.gpu{index}.{place}")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            _PLACES.append(lock)
            return index
        place += 1


def _own_lock_file(path: Path) -> IO[Any]:
    """Open a lock file in a shared folder; InputError if it is a link or belongs to another user."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise InputError(
            f"{path}, which is locked to share GPUs between jobs, cannot be opened ({error.strerror}); "
            "remove it, or set TMPDIR to a folder of your own"
        ) from None
    state = os.fstat(descriptor)
    if state.st_uid != os.getuid() or not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        raise InputError(f"{path} is not a file of yours; remove it, or set TMPDIR to a folder of your own")
    return os.fdopen(descriptor, "w")


def configure_torch(threads: int = 1, deterministic: bool = True) -> None:
    """Set torch's thread count and whether its algorithms must be deterministic."""
    import torch

    torch.set_num_threads(threads)
    if deterministic:
        # cuBLAS reads this once, when its first handle is created.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Equals use_deterministic_algorithms, which loads the compiler first: seconds in each of many jobs.
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    torch.backends.cudnn.benchmark = not deterministic


@contextmanager
def step(log_path: str | Path | None = None) -> Iterator[None]:
    """Run one step of a study, with exit status 1 on any error; an InputError is logged without a traceback.

    The log goes to ``log_path``, its warnings and errors also to standard error; without a path, all to standard error.
    """
    # What is imported stays until the end; that each collection, and the exit, passes over it saves .5 s with torch.
    gc.freeze()
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.WARNING if log_path else logging.INFO)
    handlers: list[logging.Handler] = [console]
    # A log that can no longer be written (a full disk) must not drown the message that says so.
    logging.raiseExceptions = False
    unwritten = None
    if log_path:
        try:
            Path(log_path).parent.mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(log_path, mode="w", encoding="utf-8"))
        except OSError as error:
            unwritten = error
    for handler in handlers:
        handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    logging.captureWarnings(True)
    hold_as_job()
    unwind_on_termination()
    if unwritten:
        log.error("%s cannot be written: %s", log_path, disk_problem(unwritten) or unwritten)
        raise SystemExit(1)
    # It logs the subsetting of every font of every figure.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    try:
        yield
    except (InputError, MemoryError) as error:
        log.error("%s", in_words(error))
        raise SystemExit(1) from None
    # The outermost frame of a job: an unexpected error ends in the log with its traceback.
    except Exception as error:
        if isinstance(error, OSError) and (problem := disk_problem(error)):
            log.error("%s: %s, and give the same command again", error.filename or "a file", problem)
            raise SystemExit(1) from None
        log.exception("this step failed; this is a bug or a broken installation, please report it with this log")
        raise SystemExit(1) from None
