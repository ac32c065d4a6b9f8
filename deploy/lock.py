"""Pins what pyproject.toml asks for: names, versions and hashes, never a download address."""

import os
import subprocess
import sys
from pathlib import Path

OUTPUTS = {
    "requirements.txt": ("--extra", "local"),
    "requirements-dev.txt": ("--extra", "local", "--extra", "dev"),
}
OPTIONS = (
    "--generate-hashes",
    "--universal",
    "--python-version",
    "3.11",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
    "--no-annotate",
    "--quiet",
)


def main(arguments: list[str]) -> int:
    """This function will write both files; `--upgrade` and other options go on to uv."""
    uv = os.environ.get("BULKHEAD_UV")
    if not uv:
        print("make lock needs uv, which could not be found or fetched.", file=sys.stderr)
        return 1
    for name, extras in OUTPUTS.items():
        target = str(Path("deploy") / name)
        command = [
            uv,
            "pip",
            "compile",
            "pyproject.toml",
            *extras,
            *OPTIONS,
            *arguments,
            "-o",
            target,
        ]
        if code := subprocess.run(command).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
