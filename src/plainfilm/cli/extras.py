"""Which extra of plainfilm brings a package, by plainfilm's own metadata."""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires

_IMPORTED_AS = {"PIL": "pillow", "sklearn": "scikit-learn", "markupsafe": "jinja2", "fpdf": "fpdf2"}
"""Modules that are not called like the package that brings them."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")
_FOR_USERS = ("data", "pages", "model", "hospital", "demo")
"""The extras, the smallest first."""


def packages_by_extra() -> Iterator[tuple[str, str]]:
    """Yield (extra, package) for every package that an extra for users asks for itself."""
    try:
        asked = requires("plainfilm") or []
    except PackageNotFoundError:
        return
    for requirement in asked:
        extra, name = _EXTRA.search(requirement), _NAME.match(requirement)
        if extra and name and name[0] != "plainfilm" and extra[1] in _FOR_USERS:
            yield extra[1], name[0].lower()


def extra_of(module: str | None) -> tuple[str, str] | None:
    """Return the package that brings a module, and the smallest extra with it; None without one."""
    if not module:
        return None
    root = module.partition(".")[0]
    package = _IMPORTED_AS.get(root, root).lower().replace("_", "-")
    extras = {extra for extra, name in packages_by_extra() if name.replace("_", "-") == package}
    found = next((extra for extra in _FOR_USERS if extra in extras), None)
    return None if found is None else (package, found)
