"""What staff may do. No table: this model only carries the permissions that the pages ask for."""

from django.db import models


class StaffAct(models.Model):
    """An act in the back office that a role may or may not do. See `oms.backoffice.roles`."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [
            ("view_personal_data", "See personal data of buyers without being asked why"),
            ("reveal_personal_data", "Reveal personal data of one order, with a reason"),
            ("view_raw_document", "See the raw document of an order"),
            ("add_order_note", "Write notes on orders"),
            ("act_on_order", "Move orders: handle, authorize, approve, cancel"),
            ("view_stuck_inbox", "See what is stuck"),
            ("repair_work", "Retry and skip stuck work"),
            ("force_status", "Put an order into any status, around the rules"),
            ("manage_app_keys", "Issue, rotate and revoke app keys"),
            ("view_integrations", "See what feeds and hooks were given"),
            ("repair_integrations", "Replay, resend, test and queue events again"),
            ("manage_integrations", "Rotate secrets, disable and delete feeds and hooks"),
        ]

    def __str__(self) -> str:
        return "act of staff"
