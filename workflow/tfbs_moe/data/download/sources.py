"""What a ``source`` cell of the experiments table means, and where its bytes come from.

Standard library only, as the Snakefile imports it under a bare Snakemake, and no network: ``data.download`` fetches and
``encode`` asks the ENCODE portal.

A source is one of

===========================  ==================================================================
``https://…`` ``http://…``   a file at this address
``ENCFF…``                   a file of the ENCODE portal by its accession
``encode``                   the file the lock table names for the row's factor, cell and assembly
``planted:<matrix>``         a simulated dataset with this JASPAR matrix planted at known positions; in a study with
                             ``synthetic.shape``, ``planted:<matrix>+<matrix>:<peaks>`` gives several and a number
anything else                a local file
===========================  ==================================================================
"""

import csv
import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from tfbs_moe.errors import InputError
from tfbs_moe.genome.assemblies import portal_name
from tfbs_moe.provenance import file_digest

DOWNLOADS = "resources/downloads"
LOCK = "resources/encode.lock.tsv"
REFERENCE = "resources/reference.tsv"
PORTAL = "https://www.encodeproject.org"
PLANTED_PREFIX = "planted:"
PORTAL_WORD = "encode"

# ``source`` is the request: ``encode`` (a search by factor, cell and assembly) or an accession.
LOCK_COLUMNS = (
    *("source", "factor", "cell", "assembly", "accession", "experiment", "target", "biosample", "output_type"),
    *("preferred_default", "replicates", "experiment_replicates", "audit", "lab", "url", "archive", "md5", "size"),
    *("queried", "note"),
)

_FILE_ACCESSION = re.compile(r"ENCFF\d{3}[A-Z]{3}")
_ANY_ACCESSION = re.compile(r"ENC[A-Z]{2}\d{3}[A-Z]{3}")
_MATRIX_ID = re.compile(r"(MA|UN)\d{4}\.\d+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SIZE = re.compile(r"[0-9]{1,18}")
_DIGEST_LENGTH = {"md5": 32, "sha256": 64}
# RFC 3986 allows these in a path segment; everything else is percent-encoded.
_PATH_SAFE = "/@:!$&'()*+,;=~"
# A domain name in its ASCII form; a final dot makes it absolute.
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
# File systems take 255 bytes; unfinished downloads have longer names.
_LONGEST_NAME = 200
_HASHED = 16  # letters of a digest that stands for a part of a longer name
_ENDING = re.compile(r"((?:\.[A-Za-z0-9]{1,10}){0,2}$)")  # such as .bed.gz
# A password before the host, and what a signed address holds beside the name of its file.
_PASSWORD = re.compile(r"(//)[^/?#\s]*@")
_SECRET = re.compile(
    r"([?&;][^=&;#\s]*(?:sig|token|key|secret|passw|credential|auth)[^=&;#\s]*=)[^&;#\s]*", flags=re.IGNORECASE
)
# Characters that no file name may hold, or that Snakemake reads as wildcards.
_NOT_IN_NAMES = re.compile(r"[/{}\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Checksum:
    """The hash of a file: ``algorithm`` is ``md5`` or ``sha256``, ``digest`` lower-case hex."""

    algorithm: str
    digest: str

    def check(self, path: str | Path) -> None:
        """Raise InputError where a file has another hash."""
        if (found := file_digest(path, self.algorithm)) != self.digest:
            raise InputError(
                f"{path} is not the file that its row tells of: its {self.algorithm} is {found} where {self.digest} "
                "was expected; put the right file there, or correct the checksum"
            )


@dataclass(frozen=True)
class Remote:
    """A file at an http(s) address, with what is known of it."""

    url: str  # as published; its host and path also name the local file
    accession: str | None = None  # of ENCODE
    archives: tuple[str, ...] = ()  # other addresses of the same bytes, in the order to try
    checksums: tuple[Checksum, ...] = ()  # at most one per algorithm
    size: int | None = None  # in bytes

    @property
    def path(self) -> Path:
        """Where the downloaded file is kept; see ``resource_path``."""
        return resource_path(self.url)

    @property
    def expected(self) -> dict[str, str | int]:
        """What is known of the bytes, as keywords of ``download.fetch``."""
        known: dict[str, str | int] = {checksum.algorithm: checksum.digest for checksum in self.checksums}
        return known if self.size is None else known | {"size": self.size}

    def addresses(self, mirror: str | None = None) -> list[str]:
        """Return where to get the file, in order; see ``addresses``."""
        return addresses(self.url, self.archives, mirror)


@dataclass(frozen=True)
class Local:
    """A local file; ``path`` as the user wrote it."""

    path: Path
    checksum: Checksum | None = None

    def check(self) -> None:
        """Raise InputError where there is no file at the path, or one of another checksum."""
        if not self.path.is_file():
            raise InputError(f"there is no file {self.path}; paths are relative to {Path.cwd()}")
        if self.checksum:
            self.checksum.check(self.path)


@dataclass(frozen=True)
class Planted:
    """A simulated dataset with sites drawn from JASPAR matrices (such as ``MA0139.2``); ``peaks`` where given."""

    matrix_ids: tuple[str, ...]
    peaks: int | None = None


@dataclass(frozen=True)
class Portal:
    """The file that the lock table names for a factor, cell and assembly; see ``locked``."""


Source = Remote | Local | Planted | Portal


def parse_source(text: str) -> Source:
    """Read a ``source`` cell; InputError where it is empty or names nothing that can be fetched or simulated."""
    text = text.strip()
    if not text:
        raise InputError("the source is empty; give an address, an ENCFF accession, a local path or planted:<matrix>")
    if text == PORTAL_WORD:
        return Portal()
    if text.startswith(PLANTED_PREFIX):
        matrices, colon, peaks = text.removeprefix(PLANTED_PREFIX).partition(":")
        if colon and not (_SIZE.fullmatch(peaks) and int(peaks)):
            raise InputError(f"{text}: {peaks!r} is not a number of peaks; planted:MA0139.2:20000 was expected")
        return Planted(tuple(map(_matrix_id, matrices.split("+"))), int(peaks) if colon else None)
    if scheme := _SCHEME.match(text):
        return _by_scheme(scheme[1].lower(), text)
    if _ANY_ACCESSION.fullmatch(text):
        return Remote(accession_url(text), accession=text)
    return Local(Path(text))


def resolve(experiment: Mapping[str, str], assembly: str, lock: str | Path = LOCK) -> Remote | Local | Planted:
    """Return where the file of an experiment comes from, with all that its row of the table and the lock know of it.

    Only searches of the ENCODE portal use ``assembly``. Raises InputError for a bad cell, a row the lock lacks, or
    where row and lock contradict each other.
    """
    source = parse_source(experiment["source"])
    if isinstance(source, Portal):
        source = locked(lock, experiment["factor"], experiment["cell"], assembly)
    elif isinstance(source, Remote):
        source = with_lock(source, lock)
    checksum = parse_checksum(experiment["checksum"])
    if checksum is None:
        return source
    if isinstance(source, Planted):
        raise InputError("a planted source is simulated and has no checksum; leave that cell empty")
    if isinstance(source, Local):
        return replace(source, checksum=checksum)
    return joined(source, Remote(source.url, checksums=(checksum,)))


def joined(one: Remote, other: Remote) -> Remote:
    """Return all that two mentions of one file know of it; InputError where they contradict each other."""
    known, more = one.expected, other.expected
    for what in sorted(known.keys() & more.keys()):
        if known[what] != more[what]:
            raise InputError(
                f"{redacted(one.url)} has the {what} {known[what]} in one place and {more[what]} in another (a row of "
                f"the experiments table, {LOCK} or {REFERENCE}); keep the right one"
            )
    archives = dict.fromkeys([*one.archives, other.url, *other.archives])
    return Remote(
        one.url,
        one.accession or other.accession,
        tuple(address for address in archives if address != one.url),
        tuple({checksum.algorithm: checksum for checksum in (*one.checksums, *other.checksums)}.values()),
        other.size if one.size is None else one.size,
    )


def downloads(files: Iterable[Source]) -> dict[str, Remote]:
    """Return what is to be fetched, by path; InputError where two mentions of one file contradict each other."""
    found: dict[str, Remote] = {}
    for file in files:
        if isinstance(file, Remote):
            path = str(file.path)
            found[path] = joined(found[path], file) if path in found else file
    return found


def reference(assembly: str, table: str | Path = REFERENCE) -> dict[str, Remote]:
    """Return the pinned ``fasta`` and ``blacklist`` of an assembly, if any; InputError for an unreadable table."""
    try:
        with open(table, encoding="utf-8", newline="") as handle:
            rows = [row for row in csv.DictReader(handle, delimiter="\t") if row["assembly"] == assembly]
        checksums = [tuple(filter(None, [parse_checksum(row["checksum"])])) for row in rows]
        return {row["kind"]: Remote(row["url"], checksums=known) for row, known in zip(rows, checksums, strict=True)}
    except OSError as error:
        raise InputError(f"{table}: the table of reference genomes cannot be read ({error.strerror})") from None
    except InputError as error:
        raise InputError(f"{table}: {error}") from None
    # Missing fields are None; undecodable text and stray line ends have errors of their own.
    except (AttributeError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{table}: the table of reference genomes is damaged ({error}); fetch it again") from None


def genome_files(genome: Mapping[str, Any], assembly: str, table: str | Path = REFERENCE) -> dict[str, Remote | Local]:
    """Return the ``fasta`` that peaks are cut from and the ``blacklist`` they are checked against, each if any.

    ``genome`` is that part of a completed config. InputError for a bad table or an unusable blacklist in the config.
    """
    pinned = reference(assembly, table)
    files: dict[str, Remote | Local] = {}
    if genome["fasta"]:
        files["fasta"] = Local(Path(genome["fasta"]))
    elif "fasta" in pinned:
        files["fasta"] = pinned["fasta"]
    wanted = genome["blacklist"]
    if isinstance(wanted, str):
        own = parse_source(wanted)
        if not isinstance(own, Remote | Local) or (isinstance(own, Local) and not own.path.is_file()):
            raise InputError(
                f"config: genome.blacklist: there is no file {wanted} (paths are relative to {Path.cwd()}); give true, "
                "false, or the path or address of a BED file"
            )
        files["blacklist"] = own
    elif wanted and "blacklist" in pinned:
        files["blacklist"] = pinned["blacklist"]
    return files


def parse_checksum(text: str) -> Checksum | None:
    """Read a ``checksum`` cell, ``sha256:<hex>`` or ``md5:<hex>``; an empty one is None."""
    text = text.strip()
    if not text:
        return None
    algorithm, _, digest = text.partition(":")
    length = _DIGEST_LENGTH.get(algorithm.lower())
    if length is None or not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", digest):
        raise InputError(f"{text!r} is not a checksum; md5:<32 hexadecimal digits> or sha256:<64> was expected")
    return Checksum(algorithm.lower(), digest.lower())


def accession_url(accession: str) -> str:
    """Return the address of a peak file (gzip BED) on the ENCODE portal."""
    if not _FILE_ACCESSION.fullmatch(accession):
        raise InputError(
            f"{accession} is not the accession of a file; give one that starts with ENCFF, such as ENCFF562YSV "
            f"(an experiment's files are listed at {PORTAL}/{accession}/)"
        )
    return f"{PORTAL}/files/{accession}/@@download/{accession}.bed.gz"


def addresses(
    url: str,
    archives: tuple[str, ...] = (),
    mirror: str | None = None,
    same_tree: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Return where to get a file, in order: its address, ``archives``, hosts of ``same_tree``, or the mirror alone.

    ``same_tree`` lists, by host, others that serve the same files; ``mirror`` is an http(s) address, or a folder (which
    gives a path), laid out ``<host>/<path>``.
    """
    if mirror:
        return [_on_mirror(url, mirror)]
    parts = _split(url)
    hosts = (same_tree or {}).get(parts.netloc, ())
    others = [parts._replace(scheme="https", netloc=host).geturl() for host in hosts]
    return list(dict.fromkeys([url, *archives, *others]))


def check_mirror(mirror: str | None, wanted: Iterable[Remote]) -> None:
    """Raise InputError unless a mirror is an http(s) address, or a folder that could have the ``wanted`` files."""
    folder = _mirror_folder(mirror) if mirror else None
    if folder is None:
        return
    if not folder.is_dir():
        raise InputError(f"config: mirror: there is no folder {folder} (paths are relative to {Path.cwd()})")
    hosts = sorted({resource_path(remote.url, "").parts[0] for remote in wanted})
    if hosts and not any((folder / host).is_dir() for host in hosts):
        raise InputError(
            f"config: mirror: {folder} has none of the folders {', '.join(hosts)}; a mirror has files as <host>/<path> "
            "(without this key, snakemake mirror_list prints which)"
        )


def resource_path(url: str, root: str | Path = DOWNLOADS) -> Path:
    """Return the local file of an address, ``<root>/<host>/<path>``, as ``wget --force-directories`` lays it out.

    Percent-encoding is undone, so that ``%28`` and ``(`` are one file, but for characters that may not be in a file
    name or that Snakemake reads as a wildcard. A query becomes part of the name. A digest stands for a part of a name
    that is too long, as that of a signed address is.
    """
    parts = _split(url)
    segments = [_file_name(segment, url) for segment in parts.path.split("/") if segment]
    if not segments or parts.path.endswith("/"):
        raise InputError(f"{redacted(url)} is the address of a folder; the address of a file was expected")
    if parts.query:
        segments[-1] += "?" + quote(unquote(parts.query), safe="=&+,:;@")
    return Path(root, parts.netloc, *map(_short_name, segments))


def locked(lock: str | Path, factor: str, cell: str, assembly: str) -> Remote:
    """Return the ENCODE file that the lock table names for a factor, cell and assembly (by any of its names).

    ``factor`` is the portal's target label (``POLR2A``), ``cell`` its biosample (``HepG2``). Raises InputError where
    the portal has no files of the assembly, or there is no lock table or no such row, and then says how to make it.
    """
    wanted = (PORTAL_WORD, factor, cell, portal_name(assembly))
    for row in read_lock(lock):
        if (row["source"], row["factor"], row["cell"], row["assembly"]) == wanted:
            return _from_lock(row, lock)
    raise InputError(
        f"{lock} names no file for {factor} in {cell} on {assembly}; run `snakemake lock` on a machine with a "
        "network to ask the ENCODE portal, and keep the table under version control"
    )


def with_lock(source: Remote, lock: str | Path) -> Remote:
    """Add to an accession what the lock table knows of it: archive, md5 and size."""
    if source.accession is None or not Path(lock).is_file():
        return source
    for row in read_lock(lock):
        if row["accession"] == source.accession:
            known = _from_lock(row, lock)
            return replace(known, url=source.url)
    return source


def read_lock(lock: str | Path) -> list[dict[str, str]]:
    """Return the rows of a lock table; InputError, saying how to make it, where it is missing or damaged."""
    if not Path(lock).is_file():
        raise InputError(f"there is no {lock}; run `snakemake lock` on a machine with a network to make it")
    try:
        with open(lock, newline="", encoding="utf-8") as handle:
            rows = csv.DictReader(handle, delimiter="\t")
            missing = [column for column in LOCK_COLUMNS if column not in (rows.fieldnames or ())]
            found = list(rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{lock} cannot be read ({error}); rebuild it with `snakemake lock`") from None
    if missing:
        raise InputError(f"{lock} lacks the column(s) {', '.join(missing)}; rebuild it with `snakemake lock`")
    for number, row in enumerate(found, start=2):
        if None in row or None in row.values():
            raise InputError(
                f"{lock}, line {number}: its fields do not match the header; rebuild it with `snakemake lock`"
            )
    return found


def _matrix_id(text: str) -> str:
    if not _MATRIX_ID.fullmatch(text):
        raise InputError(f"planted:{text} names no JASPAR matrix; give its id with the version, such as MA0139.2")
    return text


def _by_scheme(scheme: str, text: str) -> Source:
    if scheme == "file":
        return Local(_file_path(text))
    if scheme not in ("http", "https"):
        raise InputError(
            f"{redacted(text)}: {scheme} addresses cannot be fetched; give an http(s) address or a local path"
        )
    resource_path(text)
    accession = PurePosixPath(urlsplit(text).path).name.split(".")[0]
    is_portal = text.startswith(f"{PORTAL}/files/") and _FILE_ACCESSION.fullmatch(accession)
    return Remote(text, accession=accession if is_portal else None)


def _file_path(url: str) -> Path:
    """Return the path of a file:// address."""
    try:
        return Path(unquote(urlsplit(url).path))
    except ValueError as error:
        raise InputError(f"{url} is not a well-formed address: {error}") from None


def _split(url: str) -> SplitResult:
    """Split an http(s) address, its host in lower case; InputError for what cannot be a file's address."""
    if any(character.isspace() or not character.isprintable() for character in url):
        raise InputError(
            f"{redacted(url)!r} holds whitespace or an unprintable character; percent-encode it, a space as %20"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{redacted(url)} is not a well-formed address: {redacted(str(error))}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(f"{redacted(url)} is not an http(s) address with a host")
    if not (_is_ip6(host) if "[" in parts.netloc else _HOST.fullmatch(host)) or port == 0:
        raise InputError(
            f"{redacted(url)}: {parts.netloc.rpartition('@')[2]!r} is not a host to fetch from; expected a name of "
            "ASCII letters, digits, -, _ and single dots (an international name as xn--…), optionally with a port "
            "from 1 to 65535"
        )
    if parts.username is not None:
        raise InputError(f"an address for {host} holds a user name; keep credentials out of tables (~/.netrc is read)")
    return parts._replace(netloc=f"{host}:{port}" if port else host, fragment="")


def _is_ip6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _file_name(segment: str, url: str) -> str:
    name = unquote(segment, errors="strict") if _is_utf8(segment) else segment
    if name in (".", ".."):
        raise InputError(f"{redacted(url)} holds a {name} step; give the address without it")
    return _NOT_IN_NAMES.sub(lambda match: quote(match[0], safe=""), name)


def _short_name(name: str) -> str:
    """Return a name that a file system takes; of a longer one the start, a digest of it all, and the ending."""
    whole = name.encode()
    if len(whole) <= _LONGEST_NAME:
        return name
    start, ending = _ENDING.split(name.partition("?")[0])[:2]
    rest = f"~{hashlib.sha256(whole).hexdigest()[:_HASHED]}{ending}"
    return start.encode()[: _LONGEST_NAME - len(rest)].decode(errors="ignore") + rest


def redacted(text: str) -> str:
    """Return a text, such as an address, for messages: passwords before a host and signatures are hidden."""
    return _SECRET.sub(r"\1…", _PASSWORD.sub(r"\1…@", text))


def _is_utf8(segment: str) -> bool:
    try:
        unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def _mirror_folder(mirror: str) -> Path | None:
    """Return the folder that a mirror is, None for an http(s) address; InputError for anything else."""
    scheme = _SCHEME.match(mirror)
    if not scheme:
        return Path(mirror).expanduser()
    if scheme[1].lower() == "file":
        return _file_path(mirror)
    if scheme[1].lower() not in ("http", "https"):
        raise InputError(f"config: mirror: {redacted(mirror)} is neither a folder nor an http(s) address")
    _split(mirror)
    return None


def _on_mirror(url: str, mirror: str) -> str:
    folder = _mirror_folder(mirror)
    if folder is not None:
        return str(resource_path(url, folder))
    return f"{mirror.rstrip('/')}/{quote(resource_path(url, '').as_posix(), safe=_PATH_SAFE)}"


def _from_lock(row: dict[str, str], lock: str | Path) -> Remote:
    if not _SIZE.fullmatch(row["size"]):
        raise InputError(f"{lock}, {row['accession']}: {row['size']!r} is not a size in bytes")
    return Remote(
        url=row["url"],
        accession=row["accession"],
        archives=(row["archive"],) if row["archive"] else (),
        checksums=tuple(filter(None, [parse_checksum(f"md5:{row['md5']}")])),
        size=int(row["size"]),
    )
