"""The phrase language of the rules, and the trie that finds phrases in a token list.

A phrase is words with alternatives ``(a|b c)``, optional parts ``[of the]`` and, glued to a word,
endings: ``opacit(y|ies)``, and ``effusion(s)`` where a single ending is optional. A hyphen counts
as a space, so ``air space`` also finds "air-space". A phrase without a letter is taken as it is.
"""

import re
from collections.abc import Container, Hashable, Iterator, Sequence
from itertools import product
from typing import Any, TypeAlias

from plainfilm.core import InputError
from plainfilm.text.reader.sentences import tokenize

Trie: TypeAlias = dict[str, Any]
"""Nested dictionaries, word → node; the empty word holds the value of a complete phrase."""

_PIECE = re.compile(r"\s+|[()\[\]|]|[^\s()\[\]|]+")
_END = "\0"


def expand(phrase: str) -> list[tuple[str, ...]]:
    """Return every token sequence that ``phrase`` stands for, in lower case.

    Raises:
        InputError: brackets do not pair.
    """
    if not any(character.isalnum() for character in phrase):
        return [tuple(tokenize(phrase).words)]
    pieces = _PIECE.findall(phrase.strip())
    strings, rest = _alternatives(pieces, 0)
    if rest != len(pieces):
        raise InputError(f"phrase {phrase!r}: brackets do not pair; close what is opened")
    return sorted({_words(string) for string in strings} - {()})


def _words(string: str) -> tuple[str, ...]:
    """Return the tokens of a string; the rules hold tens of thousands, nearly all of them plain."""
    if string.isascii() and string.replace(" ", "").isalnum():
        return tuple(string.lower().split())
    return tuple(tokenize(string).words)


def _alternatives(pieces: Sequence[str], at: int) -> tuple[list[str], int]:
    """Return the strings of ``a|b|…`` starting at ``at``, and where it ends."""
    found: list[str] = []
    sequence: list[list[str]] = [[""]]
    while at < len(pieces) and pieces[at] not in (")", "]"):
        piece = pieces[at]
        if piece == "|":
            found += ["".join(parts) for parts in product(*sequence)]
            sequence = [[""]]
        elif piece in ("(", "["):
            glued = at > 0 and not pieces[at - 1].isspace() and pieces[at - 1] not in "([|"
            inner, at = _alternatives(pieces, at + 1)
            if at < 0 or at >= len(pieces) or pieces[at] != {"(": ")", "[": "]"}[piece]:
                return [], -1
            optional = piece == "[" or (glued and len(inner) == 1)
            sequence.append([*inner, ""] if optional else inner)
        else:
            sequence.append([" " if piece.isspace() else piece])
        at += 1
    return found + ["".join(parts) for parts in product(*sequence)], at


def node_of(trie: Trie, words: Sequence[str]) -> dict[str, Any]:
    """Return the mutable value of the phrase ``words``, created if needed."""
    node = trie
    for word in words:
        node = node.setdefault(word, {})
    roles: dict[str, Any] = node.setdefault(_END, {})
    return roles


def find(
    trie: Trie, words: Sequence[str], fillers: Container[str] = ()
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield the longest phrases from left to right as (start, end, value).

    ``fillers`` are words that may occur anywhere inside a phrase ("be confidently excluded").
    """
    at, count = 0, len(words)
    while at < count:
        node = trie.get(words[at])
        best = None
        here = at + 1
        while node is not None:
            if _END in node:
                best = (here, node[_END])
            if here >= count:
                break
            following = node.get(words[here])
            while following is None and words[here] in fillers and here + 1 < count:
                here += 1
                following = node.get(words[here])
            node = following
            here += 1
        if best is None:
            at += 1
        else:
            yield at, best[0], best[1]
            at = best[0]


def words_of(trie: Trie) -> set[str]:
    """Return every word of the trie's phrases."""
    found, waiting = set(), [trie]
    while waiting:
        for word, node in waiting.pop().items():
            if word != _END:
                found.add(word)
                waiting.append(node)
    return found


def meanings(trie: Trie) -> dict[str, Hashable]:
    """Return for each word of the trie the rules that it triggers alone, or else itself."""
    alone = {word: trie.get(word, {}).get(_END, {}).get("rules") for word in words_of(trie)}
    return {word: rules or word for word, rules in alone.items()}
