"""The commands that need no extra work in a core install, and the others name what they need.

make core
"""

import subprocess
import sys
import tempfile
from pathlib import Path

TEXT = "No effusion.\nThe heart is enlarged.\n"


def plainfilm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment's plainfilm."""
    command = [sys.executable, "-m", "plainfilm", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def main() -> int:
    """Return 0 where everything is as it should be."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in ("true.txt", "said.txt"):
            (folder / name).write_text(TEXT, encoding="utf-8")
        true, said = str(folder / "true.txt"), str(folder / "said.txt")
        works = [
            ("--help",),
            ("read", true),
            ("score", true, said, "--metrics", "bleu-4,micro-f1-14,finding-f1"),
            ("metrics", "list"),
        ]
        needs = [
            ("report", true),
            ("data", "phantom", "2", str(folder / "films")),
            ("train", true),
            ("metrics", "errors", true, said, "--html", str(folder / "errors.html")),
        ]
        wrong = []
        for command in works:
            done = plainfilm(*command)
            if done.returncode:
                wrong.append(f"plainfilm {' '.join(command)}: {done.stderr.strip()[-300:]}")
        for command in needs:
            done = plainfilm(*command)
            lines = done.stderr.strip().splitlines()
            if done.returncode != 1 or len(lines) != 1 or "pip install 'plainfilm[" not in lines[0]:
                wrong.append(f"plainfilm {' '.join(command)}: {done.stderr.strip()[-300:]}")
    print("\n".join(wrong) or f"{len(works) + len(needs)} commands are as they should be")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
