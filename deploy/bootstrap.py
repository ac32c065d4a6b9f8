"""
Makes the environment fit deploy/requirements*.txt, then becomes the command that was asked for.

Run by make with any Python 3.11 or later and nothing installed: standard library only. Packages
come from uv, which is found on PATH or fetched by pip; without it, venv and pip do the same in
half a minute more. Nothing is done while the requirements and the interpreter stay the same.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "bulkhead-environment.json"
LOCAL = ROOT / ".local"
UV = "uv==0.13.8"
REQUIREMENTS = {
    "runtime": ROOT / "deploy" / "requirements.txt",
    "development": ROOT / "deploy" / "requirements-dev.txt",
}
COMMANDS = {
    "up": ("runtime", ["-m", "deploy.up"]),
    "test": ("development", ["-m", "pytest"]),
    "check": ("development", ["-m", "deploy.check"]),
    "bench": ("development", ["-m", "tests.bench"]),
    "lock": ("development", ["-m", "deploy.lock"]),
    "python": ("development", []),
}
OLDEST_PYTHON = (3, 11)


def main(arguments: list[str]) -> None:
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"Bulkhead needs Python 3.11 or later; {sys.executable} is {sys.version.split()[0]}. "
            "Name another one: make up PYTHON=python3.12"
        )
    if not arguments or arguments[0] not in COMMANDS:
        sys.exit(f"usage: bootstrap.py {'|'.join(COMMANDS)} [ARGUMENT ...]")
    # As an exception, so that an installer under way is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    wanted, command = COMMANDS[arguments[0]]
    make_environment(wanted)
    os.chdir(ROOT)
    if arguments[0] == "lock":
        os.environ["BULKHEAD_UV"] = find_uv() or fetch_uv() or ""
    os.execv(VENV_PYTHON, [str(VENV_PYTHON), *command, *arguments[1:]])


def make_environment(wanted: str) -> None:
    """This function will bring .venv to the wanted set; a development set is never taken back."""
    try:
        LOCAL.mkdir(exist_ok=True)
        lock = (LOCAL / "environment.lock").open("w")
    except OSError as error:
        sys.exit(f"Cannot write below {ROOT} ({error.strerror}): clone as the user who runs this.")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = read_stamp()
        if stamp.get("set") == "development":
            wanted = "development"
        fresh = {"set": wanted, "fingerprint": fingerprint(wanted)}
        if stamp == fresh:
            return
        say(f"Preparing .venv ({wanted} set) with Python {sys.version.split()[0]}.")
        uv = find_uv() or fetch_uv()
        if not (uv and sync_with_uv(uv, wanted)):
            say("uv is not to be had or failed: using pip, which takes about half a minute.")
            sync_with_pip(wanted)
        STAMP.write_text(json.dumps(fresh))


def read_stamp() -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if VENV_PYTHON.exists() else {}


def fingerprint(wanted: str) -> str:
    parts = (REQUIREMENTS[wanted].read_bytes(), sys.version.encode(), base_python().encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def base_python() -> str:
    """This function will name the interpreter itself, by whatever name or environment it runs."""
    return str(Path(getattr(sys, "_base_executable", None) or sys.executable).resolve())


def find_uv() -> str | None:
    fetched = LOCAL / "uv" / "bin" / "uv"
    return shutil.which("uv") or (str(fetched) if fetched.exists() else None)


def fetch_uv() -> str | None:
    command = [base_python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--target", str(LOCAL / "uv"), UV], capture_output=True, text=True
    )
    return find_uv() if done.returncode == 0 else None


def sync_with_uv(uv: str, wanted: str) -> bool:
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
    # The machine's certificates, as pip and git use: a company's own may be among them.
    environment.setdefault("UV_SYSTEM_CERTS", "1")
    if not os.access(Path.home(), os.W_OK):
        environment.setdefault("UV_CACHE_DIR", str(LOCAL / "uv-cache"))
    if not same_python():
        made = [uv, "venv", "--quiet", "--clear", "--python", base_python(), str(VENV)]
        if run(made, environment) != 0:
            return False
    options = ["--require-hashes", "--compile-bytecode"]
    if not sys.stderr.isatty():
        options.append("--quiet")
    synced = [uv, "pip", "sync", "--python", str(VENV_PYTHON), *options, str(REQUIREMENTS[wanted])]
    return run(synced, environment) == 0


def sync_with_pip(wanted: str) -> None:
    made_by_pip = same_python() and (VENV / "bin" / "pip").exists()
    if not made_by_pip and run([base_python(), "-m", "venv", "--clear", str(VENV)]) != 0:
        sys.exit(
            "Cannot make a virtual environment. On Debian and Ubuntu: apt-get install "
            "python3-venv. Or install uv, which needs neither venv nor pip."
        )
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    if run([*pip, "--require-hashes", "-r", str(REQUIREMENTS[wanted])]) != 0:
        sys.exit("The packages could not be installed; the reason is above.")


def run(command: list[str], environment: dict[str, str] | None = None) -> int:
    """This function will run a command on stderr: stdout belongs to what is started in the end."""
    return subprocess.run(command, env=environment, stdout=sys.stderr).returncode


def same_python() -> bool:
    """This function will tell whether .venv exists and runs the interpreter that runs this."""
    report = "import sys; print(sys.version, getattr(sys, '_base_executable', ''), sep='\\0')"
    try:
        said = subprocess.run([str(VENV_PYTHON), "-c", report], capture_output=True, text=True)
    except OSError:
        return False
    version, _, base = said.stdout.rstrip("\n").partition("\0")
    return version == sys.version and str(Path(base).resolve()) == base_python()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
