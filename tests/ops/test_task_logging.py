import logging

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

    during, after = (record.msg for record in caplog.records if record.name == "workflow.runner")
    assert (during["task_id"], during["task"]) == ("f00", "red-fox")
    assert "task_id" not in after
