"""Parsing of untrusted YAML, within limits."""

from typing import Any

import yaml

_LARGEST = 2**20
_MOST_VALUES = 100_000


def parse_yaml(text: str) -> Any:
    """Return the content of a YAML text: plain values only, no Python objects.

    Raises:
        ValueError: the text is not YAML, larger than 1 MiB, nested too deeply, or its aliases
            expand to more than 100,000 values (a "billion laughs" file).
    """
    if len(text) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    waiting, seen = [values], 0
    while waiting:
        value, seen = waiting.pop(), seen + 1
        if seen > _MOST_VALUES:
            raise ValueError(f"it holds more than {_MOST_VALUES} values")
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value
    return values
