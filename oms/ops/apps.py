from django.apps import AppConfig


class OpsConfig(AppConfig):
    name = "oms.ops"
    label = "ops"
    verbose_name = "Operations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # The queue tells a task its id in no other way. For log lines only: no work hangs on it.
        from django_q.signals import post_execute_in_worker, pre_execute

        from oms.ops.task_logging import name_task, unname_task

        pre_execute.connect(name_task)
        post_execute_in_worker.connect(unname_task)
