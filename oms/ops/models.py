"""What every role writes about itself, and what people did that must be traceable."""

from django.db import models
from django.db.models.functions import Now


class Heartbeat(models.Model):
    """
    The last sign of work of one process of one role.

    `work_done` counts finished work, not life: in the 2017 incident the workflow's processes could
    have beaten for six hours while no order moved (post-mortem, accident 2).
    """

    role = models.CharField(max_length=50)
    instance = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    worked_at = models.DateTimeField(null=True, blank=True)
    work_done = models.BigIntegerField(default=0)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["role", "instance"], name="ops_heartbeat_one_row_per_instance"
            ),
            models.CheckConstraint(
                condition=models.Q(work_done__gte=0), name="ops_heartbeat_work_done_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} on {self.instance}"


class AuditEntry(models.Model):
    """Who did what to which object, and why. Append-only: PostgreSQL refuses any change."""

    at = models.DateTimeField(db_default=Now(), editable=False)
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=100)
    object_type = models.CharField(max_length=100, blank=True)
    object_id = models.CharField(max_length=200, blank=True)
    reason = models.TextField(blank=True)
    details = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    remote_address = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["object_type", "object_id", "-id"], name="ops_auditentry_object"),
            models.Index(fields=["actor", "-id"], name="ops_auditentry_actor"),
            models.Index(fields=["action", "-id"], name="ops_auditentry_action"),
            models.Index(fields=["at"], name="ops_auditentry_at"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(actor="") & ~models.Q(action=""),
                name="ops_auditentry_names_actor_and_action",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object_type} {self.object_id}".strip()
