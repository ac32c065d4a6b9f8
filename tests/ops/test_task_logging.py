import logging
from typing import Any

import pytest
import structlog
from django_q.signals import post_execute_in_worker, pre_execute


def test_a_workers_lines_name_the_task_while_it_runs(caplog: pytest.LogCaptureFixture) -> None:
    task = {"id": "f00", "name": "red-fox"}
    logger = structlog.get_logger("workflow.runner")

    with caplog.at_level(logging.INFO):
        pre_execute.send(sender="django_q", func=None, task=task)
        logger.info("step.done")
        post_execute_in_worker.send(sender="django_q", func=None, task=task)
        logger.info("idle")

    lines: list[Any] = [r.msg for r in caplog.records if r.name == "workflow.runner"]
    during, after = lines
    assert (during["task_id"], during["task"]) == ("f00", "red-fox")
    assert "task_id" not in after
