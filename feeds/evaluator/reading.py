"""Looks at the syntax tree of an expression: what it must not contain, which fields it asks for."""

from collections.abc import Iterator
from typing import Any, Final

from feeds.evaluator.outcomes import LONGEST_RANGE, ExpressionRefused

# A node of JSONata's tree. Its attributes are untyped, and differ by its `type`.
Node = Any
Path = tuple[str, ...]

REFUSED_FUNCTIONS: Final = {
    "eval": "$eval hides what an expression does.",
    "pad": "$pad can fill the memory.",
}
_CHILDREN: Final = (
    "steps",
    "stages",
    "predicate",
    "expr",
    "group",
    "lhs",
    "rhs",
    "lhs_object",
    "expression",
    "expressions",
    "procedure",
    "arguments",
    "body",
    "condition",
    "then",
    "_else",
    "pattern",
    "update",
    "delete",
    "terms",
)


def refuse_expensive(tree: Node) -> None:
    """
    This function will refuse what costs too much by its mere text.

    Everything else that costs is bounded when it runs. Raises ExpressionRefused.
    """
    for node in _nodes(tree):
        kind, value = getattr(node, "type", None), getattr(node, "value", None)
        if kind == "variable" and value in REFUSED_FUNCTIONS:
            raise ExpressionRefused(REFUSED_FUNCTIONS[value], node.position)
        if kind == "binary" and value == "..":
            _refuse_long_range(node)


def _refuse_long_range(node: Node) -> None:
    ends = [end.value for end in (node.lhs, node.rhs) if getattr(end, "type", None) == "number"]
    if len(ends) < 2:
        raise ExpressionRefused("Both ends of a range must be numbers.", node.position)
    if ends[1] - ends[0] >= LONGEST_RANGE:
        raise ExpressionRefused(
            f"A range may have {LONGEST_RANGE} numbers at most.", node.position
        )


def _nodes(tree: Node) -> Iterator[Node]:
    seen: set[int] = set()
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, list | tuple):
            left.extend(node)
        elif hasattr(node, "__dict__") and id(node) not in seen:
            seen.add(id(node))
            yield node
            left.extend(getattr(node, name, None) for name in _CHILDREN)


def paths_of(tree: Node) -> list[Path]:
    """
    This function will return the paths that an expression asks for, from the document's root.

    Those whose root nobody knows before it runs (after `*`, in a variable) are left out.
    """
    paths: dict[Path, None] = {}
    _walk(tree, (), paths)
    return list(paths)


def _walk(node: Node, at: Path | None, paths: dict[Path, None]) -> None:
    if isinstance(node, list | tuple):
        for child in node:
            _walk(child, at, paths)
        return
    if not hasattr(node, "__dict__"):
        return
    if getattr(node, "type", None) == "path":
        after = _walk_steps(node.steps, at, paths)
        _walk(getattr(node, "group", None), after, paths)
        return
    for name in _CHILDREN:
        _walk(getattr(node, name, None), at, paths)


def _walk_steps(steps: list[Node], at: Path | None, paths: dict[Path, None]) -> Path | None:
    here = at
    for step in steps:
        if step.type == "name":
            here = None if here is None else (*here, str(step.value))
            if here is not None:
                paths[here] = None
        elif step.type == "variable" and step.value in ("", "$"):
            here = here if step.value == "" else ()
        elif step.type == "sort":
            _walk(step.terms, here, paths)
        else:
            for name in _CHILDREN:
                if name not in ("stages", "predicate"):
                    _walk(getattr(step, name, None), here, paths)
            here = None
        _walk(getattr(step, "stages", None), here, paths)
        _walk(getattr(step, "predicate", None), here, paths)
    return here
