"""
JSONata within bounds of time, depth and syntax. Imported by the evaluator's process alone.

Each evaluation has a frame of its own: it carries that evaluation's bounds, and what one evaluation
binds is never seen by another. The time is processor time, so that a busy machine makes no filter
miss an event.
"""

import re
import sys
from collections import OrderedDict
from time import process_time
from typing import Any, Final

import re2

from feeds.evaluator.outcomes import (
    DEEPEST_CALL,
    LONGEST_EXPRESSION,
    TOO_LONG,
    ExpressionFailed,
    ExpressionRefused,
)
from feeds.evaluator.reading import Path, paths_of, refuse_expensive

_usual_recursion_limit = sys.getrecursionlimit()
from jsonata import Functions, JException, Jsonata  # noqa: E402  (it sets the limit to 10,000)

sys.setrecursionlimit(_usual_recursion_limit)

# How often the clock is looked at: reading it costs as much as half an evaluation step.
STEPS_PER_LOOK: Final = 16
CACHED: Final = 200
TOO_DEEP: Final = "D1011"


class Compiled:
    """An expression that was read and may run."""

    def __init__(self, text: str) -> None:
        self.program = _parse(text)
        refuse_expensive(self.program.ast)
        self.paths: list[Path] = paths_of(self.program.ast)
        # The documents are ours: looking at every value again took 97% of an evaluation.
        self.program.set_validate_input(False)

    def matches(self, document: Any, *, patience_ms: float) -> bool:
        """
        This function will tell whether the expression's result counts as true.

        That is JSONata's own `$boolean`: `true`, or something that is not empty. Raises
        ExpressionFailed where there is no result.
        """
        frame = self.program.create_frame(self.program.environment)
        _Bounds(frame, patience_ms)
        try:
            return bool(Functions.to_boolean(self.program.evaluate(document, frame)))
        except JException as error:
            raise ExpressionFailed(_words_without_values(error)) from error
        except RecursionError as error:
            raise ExpressionFailed("The expression is nested too deeply.") from error
        except MemoryError:
            raise
        except Exception as error:
            # A mistake of the library, as good as one of the expression.
            raise ExpressionFailed("A function failed.") from error


class _Bounds:
    """Counts the steps of one evaluation and ends it when it takes too long or goes too deep."""

    def __init__(self, frame: Any, patience_ms: float) -> None:
        self.ends_at = process_time() + patience_ms / 1_000
        self.patience_ms = patience_ms
        self.depth = 0
        self.steps = 0
        frame.set_evaluate_entry_callback(self.enter)
        frame.set_evaluate_exit_callback(self.leave)

    def enter(self, expression: Any, document: Any, frame: Any) -> None:
        self.depth += 1
        self.steps += 1
        if self.depth > DEEPEST_CALL:
            raise JException(TOO_DEEP, -1)
        if self.steps % STEPS_PER_LOOK == 0 and process_time() > self.ends_at:
            raise JException(TOO_LONG, -1, self.patience_ms)

    def leave(self, expression: Any, document: Any, frame: Any, result: Any) -> None:
        self.depth -= 1


_cache: OrderedDict[str, Compiled] = OrderedDict()


def compiled(text: str) -> Compiled:
    """This function will read an expression, or remember it. Raises ExpressionRefused."""
    if (known := _cache.get(text)) is not None:
        _cache.move_to_end(text)
        return known
    fresh = _cache[text] = Compiled(text)
    if len(_cache) > CACHED:
        _cache.popitem(last=False)
    return fresh


def _parse(text: str) -> Any:
    if len(text) > LONGEST_EXPRESSION:
        message = f"An expression has {LONGEST_EXPRESSION} characters at most."
        raise ExpressionRefused(message, LONGEST_EXPRESSION)
    if not text.strip():
        raise ExpressionRefused("The expression is empty.", 0)
    try:
        return Jsonata(text, regex_engine=_regular_expression)
    except JException as error:
        raise ExpressionRefused(_words_of(error), _position(error.location, text)) from error
    except re2.error as error:
        raise ExpressionRefused(f"Regular expression: {_text_of(error)}") from error
    except RecursionError as error:
        raise ExpressionRefused("The expression is nested too deeply.") from error
    except Exception as error:
        # A text that breaks the parser itself is no expression either; it mostly ends too early.
        raise ExpressionRefused("The expression is not understood; is its end there?") from error


def _regular_expression(pattern: str, flags: Any) -> Any:
    # re2 takes time in proportion to the text, whatever the pattern; the usual engine may take for
    # ever. It knows no look-around and no back references.
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not flags.case_insensitive
    return re2.compile(f"(?m){pattern}" if flags.multiline else pattern, options)


def _position(told: int | None, text: str) -> int | None:
    return min(told, len(text)) if told is not None and told >= 0 else None


def _words_of(error: JException) -> str:
    return f"{error.error}: {_text_of(error)}"[:200]


def _words_without_values(error: JException) -> str:
    """Says what is wrong without what it was: the failure is kept, and may show a person's data."""
    template = JException.error_codes.get(error.error)
    if template is None:
        return "A function failed."
    return f"{error.error}: {_VALUE.sub('…', template)}"[:200]


_VALUE: Final = re.compile(r"\{+.*?\}+")


def _text_of(error: Exception) -> str:
    told = error.args[0] if error.args else error
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)
