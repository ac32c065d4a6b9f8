"""What docs/integrators.md says, taken apart: its snippets and its tables."""

from dataclasses import dataclass
from functools import cache

from tests.whole_system import ROOT

GUIDE = ROOT / "docs" / "integrators.md"


@dataclass(frozen=True, slots=True)
class Snippet:
    heading: str
    language: str
    text: str


@cache
def guide() -> str:
    return GUIDE.read_text()


@cache
def snippets() -> tuple[Snippet, ...]:
    """This function will return every fenced block with its language and the heading above it."""
    found, heading, language, lines = [], "", "", list[str]()
    is_inside = False
    for line in guide().splitlines():
        if line.startswith("```"):
            if is_inside:
                found.append(Snippet(heading, language, "\n".join(lines) + "\n"))
            is_inside, language, lines = not is_inside, line.removeprefix("```"), []
        elif is_inside:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    return tuple(found)


def snippet(heading: str, language: str) -> str:
    """This function will return the one snippet of a language below a heading."""
    (found,) = [s.text for s in snippets() if (s.heading, s.language) == (heading, language)]
    return found


def table(heading: str) -> list[list[str]]:
    """This function will return the cells of the table below a heading, its own head left out."""
    section = guide().split(f"# {heading}\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def calling() -> str:
    """The beginning of the first Python snippet: what later ones mean by `call`."""
    return snippet("The first event in ten minutes", "python").split("\n\ncall(")[0] + "\n\n"
