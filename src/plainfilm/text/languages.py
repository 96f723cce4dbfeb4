"""Which language a text is in, by its little words: enough to tell that it is not the expected one.

The reader's rules are of one language. In a text of another they still find the words that both
share, without the words that deny them ("Kein Pneumothorax"), so what they find there counts for
nothing.
"""

import re

_ENOUGH = 2
"""Little words of another language that tell a longer text; a short one is told by one."""
_SHORT = 5
_WORD = re.compile(r"[^\W\d_]+")


class LanguageWarning(UserWarning):
    """A text is in another language than it is to be read by, and is not read."""


# Only words that stand in no report of the other languages listed here; so no "de", "no", "in".
_LITTLE_WORDS = {
    "en": "the is are and of with without there or was were has have been this that for to at from "
          "which may not be as on both within seen noted identified unchanged",
    "es": "el los las hay sin con del una se observa observan está están pulmones tamaño ningún "
          "ninguna signos derrame silueta",
    "fr": "le les des et est sont sans avec une aux du il absence épanchement pas dans au droit "
          "gauche poumons",
    "de": "der die das und ist sind kein keine keinen ohne mit nicht den im beidseits links rechts "
          "eine ein bds lunge erguss herz zeichen",
    "pt": "os sem com uma são não das há derrame pulmões coração à esquerda direita sinais",
    "it": "il gli non con della sono è dei senza versamento polmoni destra sinistra cuore nella",
    "nl": "het een geen zijn van niet zonder links rechts hart longen",
}  # fmt: skip
_WORDS = {language: frozenset(words.split()) for language, words in _LITTLE_WORDS.items()}


def language_of(text: str) -> str | None:
    """Return the language that a text seems to be in; None where no little word tells."""
    words = _WORD.findall(text.lower())
    counts = {name: sum(word in known for word in words) for name, known in _WORDS.items()}
    name = max(counts, key=counts.__getitem__)
    return name if counts[name] else None


def foreign(text: str, language: str) -> str | None:
    """Return the language that a text seems to be in, where it isn't ``language``; else None.

    None too where nothing tells: a text without little words, or of a language not listed here.

    Args:
        text: a report.
        language: the expected one, such as ``en``.
    """
    words = _WORD.findall(text.lower())
    others = [(name, known) for name, known in _WORDS.items() if name != language]
    if all(known.isdisjoint(words) for _, known in others):
        return None
    counts = {name: sum(word in known for word in words) for name, known in others}
    expected = sum(word in _WORDS.get(language, ()) for word in words)
    name = max(counts, key=counts.__getitem__)
    enough = counts[name] >= _ENOUGH or len(words) <= _SHORT
    return name if counts[name] > expected and enough else None
