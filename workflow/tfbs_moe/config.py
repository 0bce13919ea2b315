"""Reading and validating the config and the experiments table.

For the Snakefile under a bare Snakemake: standard library, PyYAML and jsonschema only.
"""

import copy
import csv
import difflib
import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tfbs_moe.errors import InputError
from tfbs_moe.genome.chromosomes import complete_splits

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"

Experiment = dict[str, str]


def load_schema(name: str) -> dict[str, Any]:
    """Return a copy of the JSON schema ``workflow/schemas/<name>.schema.yaml``."""
    return copy.deepcopy(_schema(name))


@cache
def _schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = load_yaml(SCHEMAS / f"{name}.schema.yaml")
    return schema


def load_yaml(path: Path) -> Any:
    """Return what the library itself holds as YAML."""
    text = path.read_text(encoding="utf-8")
    # Without the C loader, which not every PyYAML has, the schema takes a seventh of a second.
    return yaml.load(text, yaml.CSafeLoader) if yaml.__with_libyaml__ else yaml.safe_load(text)


def check_config_file(path: str | Path) -> None:
    """Raise InputError unless a config file is a readable YAML mapping."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = yaml.safe_load(text)
    except FileNotFoundError:
        beside = sorted(str(found) for folder in {path.parent, Path("config")} for found in folder.glob("*.yaml"))
        near = difflib.get_close_matches(str(path), beside, n=1, cutoff=0.75)
        hint = f"did you mean {near[0]}?" if near else "everything after --configfile is read as one: put targets first"
        raise InputError(f"there is no config file {path} in {Path.cwd()}; {hint}") from None
    except OSError as error:
        raise InputError(f"{path}: the config file cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: the config file is not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        said = ", ".join(filter(None, (error.context, error.problem)))
        raise InputError(
            f"{path}{place}: this is not YAML ({said}); check the colons, brackets, quotes and indentation "
            "(spaces, not tabs) there and in the line above"
        ) from None
    # Numbers of thousands of digits are ValueErrors; deep nesting exhausts the parser's stack.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: this is not YAML ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: keys with values were expected (key: value), and there are none")


def complete_config(config: dict[str, Any]) -> dict[str, Any]:
    """Validate a config and return a copy with all defaults and held-out chromosomes; InputError lists every fault.

    Values from the command line arrive as text (``--config training={max_epochs: 3}``) and are parsed as YAML where
    the schema expects a number, a boolean or null.
    """
    if not isinstance(config, dict):
        raise InputError("config: keys with values were expected (key: value), and there are none")
    if isinstance(config.get("protocols"), dict):
        # Snakemake merges configs key by key, so a later one can only remove a protocol by setting it to null.
        config = config | {"protocols": {name: one for name, one in config["protocols"].items() if one is not None}}
    schema = load_schema("config")
    kinds = [
        fault
        for part in ("experts", "gates")
        for fault in _add_variants(schema["properties"][part], config.get(part), f"config: {part}")
    ]
    config = _coerce(config, schema)
    # With an unknown kind the schema of a name is unknown too, and its other faults would mislead.
    faults = kinds or [*_faults(config, schema, "config"), *_not_finite(config, "")]
    if faults:
        raise InputError("\n".join(faults))
    named = {"experts": set(config.get("experts", {})), "gates": set(config.get("gates", {}))}
    complete: dict[str, Any] = _fill(config, schema)
    for protocol in complete["protocols"].values():
        named["experts"] |= {*protocol["architectures"], *protocol["pooled"], protocol["background"]}
        named["gates"] |= {*protocol["gates"], *complete["baselines"]}
    # Settings of networks that no protocol trains do not describe the run.
    for part, names in named.items():
        complete[part] = {name: settings for name, settings in complete[part].items() if name in names}
    complete_splits(complete)
    return complete


def _not_finite(value: object, place: str) -> Iterator[str]:
    """Yield a sentence for each number that is infinite or none, which no bound of a schema excludes."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"config: {place}: {value} is not a finite number"
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _not_finite(part, f"{place}.{key}" if place else str(key))


def _add_variants(schema: dict[str, Any], given: object, where: str) -> Iterator[str]:
    """Add to ``schema``, in place, that of each variant's ``kind``; yield a sentence for each unknown kind."""
    known = dict(schema["properties"])
    for name, settings in given.items() if isinstance(given, dict) else ():
        kind = settings.get("kind") if isinstance(settings, dict) else None
        if kind is None or (name in known and name != kind):
            continue
        if kind not in known:
            near = difflib.get_close_matches(str(kind), known, n=1, cutoff=0.0)[0]
            yield f"{where}.{name}.kind: {kind!r} is not known; did you mean {near!r}? Known are {', '.join(known)}"
            continue
        variant = copy.deepcopy(known[kind])
        variant["properties"]["kind"] = {"enum": [kind], "description": "What it is a variant of."}
        schema["properties"][name] = variant


def known_names(part: str) -> list[str]:
    """Return the names of the built-in networks (``experts``) or gates (``gates``)."""
    return list(load_schema("config")["properties"][part]["properties"])


def defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults of an object schema, nested objects included."""
    return _fill({}, schema)


def read_experiments(path: str | Path) -> list[Experiment]:
    """Read and validate a tab-separated experiments table with ``#`` comment lines; InputError lists every fault."""
    schema = load_schema("experiments")
    columns = list(schema["properties"])
    rows = list(_tsv_rows(Path(path), columns))
    if not rows:
        raise InputError(f"{path}: the table has no row below its header; one row per dataset was expected")
    faults: list[str] = []
    first_line: dict[str, int] = {}
    for line, row in rows:
        faults += _faults(row, schema, f"{path}, line {line}")
        name = row["name"].casefold()
        if name in first_line:
            faults.append(
                f"{path}, line {line}: the name {row['name']!r} is already in line {first_line[name]}; "
                "names must differ (in more than case)"
            )
        first_line.setdefault(name, line)
    if faults:
        raise InputError("\n".join(faults))
    return [row for _, row in rows]


def _tsv_rows(path: Path, columns: list[str]) -> Iterator[tuple[int, Experiment]]:
    """Yield line number and row of a tab-separated table that must have exactly ``columns``, in any order."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such experiments table in {Path.cwd()}, to which paths in a config are relative"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: the experiments table cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: the experiments table is not UTF-8 text; save it as tab-separated text") from None
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise InputError(f"{path}: the experiments table is empty; expected the columns {', '.join(columns)}")
    table = list(csv.reader((line for _, line in lines), delimiter="\t", quoting=csv.QUOTE_NONE))
    header = [cell.strip() for cell in table[0]]
    missing = [column for column in columns if column not in header]
    unknown = [column for column in header if column not in columns]
    if missing or unknown or len(set(header)) != len(header):
        parts = [f"missing: {', '.join(missing)}"] if missing else []
        parts += [_unknown_key(column, columns, "column") for column in unknown]
        parts += ["a column is repeated"] if len(set(header)) != len(header) else []
        raise InputError(
            f"{path}, line {lines[0][0]}: wrong columns ({'; '.join(parts)}); "
            f"expected, separated by tabs: {', '.join(columns)}"
        )
    for (number, _), cells in zip(lines[1:], table[1:], strict=True):
        if len(cells) != len(header):
            raise InputError(
                f"{path}, line {number}: {len(cells)} fields where the header has {len(header)}; "
                "fields are separated by single tabs"
            )
        yield number, dict(zip(header, (cell.strip() for cell in cells), strict=True))


def _matches(_validator: object, pattern: str, value: object, _schema: object) -> Iterator[jsonschema.ValidationError]:
    """Check a pattern as JSON Schema means it: in Python's own, ``$`` lets a line end follow."""
    if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


_Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _matches})


def _faults(value: object, schema: dict[str, Any], where: str) -> Iterator[str]:
    """Yield one sentence for each violation of a schema."""
    validator = _Validator(schema)
    for error in sorted(validator.iter_errors(value), key=lambda fault: [str(part) for part in fault.absolute_path]):
        place = ".".join(str(part) for part in error.absolute_path)
        subject = f"{where}: {place}" if place else where
        if error.validator == "additionalProperties":
            known = list(error.schema.get("properties", {}))
            for key in error.instance:
                if key not in known:
                    yield f"{subject}: {_unknown_key(str(key), known, 'key')}"
        elif error.validator == "required" and (known := _beside(schema, error.absolute_path)):
            key = str(error.absolute_path[-1])
            yield f"{subject}: {_unknown_key(key, known, 'key')} If the name is meant to be your own: {error.message}"
        else:
            described = error.schema.get("description", "") if error.validator != "required" else ""
            yield f"{subject}: {error.message}" + (f" — {described}" if described else "")


def _beside(schema: dict[str, Any], path: Sequence[Any]) -> list[str]:
    """Return the siblings in a schema of a path's last key, or nothing if the schema has that key."""
    for key in list(path)[:-1]:
        schema = schema.get("properties", {}).get(key, {})
    known = list(schema.get("properties", {}))
    return [] if not path or path[-1] in known else known


def _unknown_key(key: str, known: list[str], kind: str) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    return (
        f"unknown {kind} {key!r}; did you mean {near[0]!r}?"
        if near
        else f"unknown {kind} {key!r}; none is allowed here"
    )


def _coerce(value: Any, schema: dict[str, Any]) -> Any:
    """Return a copy of a value with text parsed as YAML where the schema does not allow text."""
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        fallback = rest if isinstance(rest, dict) else {}
        return {key: _coerce(item, known.get(key, fallback)) for key, item in value.items()}
    if isinstance(value, list):
        return [_coerce(item, schema.get("items", {})) for item in value]
    types = schema.get("type", "string")
    if "boolean" in types and value in ("true", "false"):
        return value == "true"
    if not isinstance(value, str) or "enum" in schema or "string" in types:
        # Null is the text null, or no text.
        return None if value in ("null", "") and "null" in types and types != "null" else value
    try:
        return float(value) if types == "number" else yaml.safe_load(value)
    except (ValueError, yaml.YAMLError):
        return value


def _fill(value: Any, schema: dict[str, Any]) -> Any:
    """Fill the defaults of a schema into a value, in place, and return it."""
    if not isinstance(value, dict):
        return value
    for key, sub in schema.get("properties", {}).items():
        if key not in value and "default" in sub:
            value[key] = copy.deepcopy(sub["default"])
        if key in value:
            value[key] = _fill(value[key], sub)
    rest = schema.get("additionalProperties")
    # Settings under a user's own name are either complete (a protocol) or overrides (an experiment's
    # hyper-parameters); defaults in the latter would undo the settings that they override.
    if isinstance(rest, dict) and not schema.get("x-overrides"):
        for key in value:
            if key not in schema.get("properties", {}):
                value[key] = _fill(value[key], rest)
    return value
