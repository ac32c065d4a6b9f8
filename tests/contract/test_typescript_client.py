"""TypeScript types made from the API's description compile, and refuse what the API refuses."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from oms.api.description.schema import whole_description

pytestmark = pytest.mark.heavy

PACKAGES = ("openapi-typescript@7.13.0", "typescript@5.9.3")
SECONDS = 240
PROGRAM = """
import type { components, operations } from "./api";

type Order = components["schemas"]["Order"];
type Commit = operations["commit_feed"]["requestBody"];

export function total(orders: Order[]): number {
  return orders.reduce((sum, order) => sum + order.value, 0);
}
export const commit: NonNullable<Commit>["content"]["application/json"] = { handles: ["a"] };
// @ts-expect-error: a commit without handles is refused
export const empty: NonNullable<Commit>["content"]["application/json"] = {};
"""


def run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """This fixture will install the two programs, or skip the test and say why."""
    if shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    options = ("--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=20000")
    (tmp_path / "package.json").write_text('{"private": true}')
    installed = run(tmp_path, "npm", "install", *options, *PACKAGES)
    if installed.returncode != 0:
        pytest.skip(f"the npm registry does not answer: {installed.stderr[-200:]}")
    return tmp_path


def test_types_made_from_it_compile(folder: Path) -> None:
    (folder / "schema.json").write_text(json.dumps(whole_description()))
    (folder / "program.ts").write_text(PROGRAM)
    options: dict[str, Any] = {"strict": True, "noEmit": True, "skipLibCheck": False, "types": []}
    config = {"compilerOptions": options, "files": ["program.ts"]}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    programs = folder / "node_modules" / ".bin"
    made = run(folder, str(programs / "openapi-typescript"), "schema.json", "-o", "api.d.ts")
    assert made.returncode == 0, made.stdout + made.stderr
    compiled = run(folder, str(programs / "tsc"))
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
