"""App keys and their tokens: who an integration is, and what proves it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class AppKey(models.Model):
    """
    One integration: its owner, what it may do and for which sellers.

    `seller_ids` and `affiliate_ids` are None for a key that is not restricted; an empty list would
    read as either nothing or everything, so the database refuses it.
    """

    app_key = models.TextField(unique=True, editable=False)
    owner_name = models.TextField()
    owner_contact = models.TextField(blank=True)
    scopes = ArrayField(models.TextField())
    seller_ids = ArrayField(models.TextField(), null=True, blank=True)
    affiliate_ids = ArrayField(models.TextField(), null=True, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scopes__len__gt=0), name="access_appkey_has_a_scope"
            ),
            models.CheckConstraint(
                condition=models.Q(seller_ids__isnull=True) | models.Q(seller_ids__len__gt=0),
                name="access_appkey_sellers_null_or_named",
            ),
            models.CheckConstraint(
                condition=models.Q(affiliate_ids__isnull=True)
                | models.Q(affiliate_ids__len__gt=0),
                name="access_appkey_affiliates_null_or_named",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.app_key} ({self.owner_name})"


class AppToken(models.Model):
    """
    A secret of an app key, kept as the SHA-256 of 256 random bits.

    A fast hash is right here: nobody can guess 256 bits, and each API call pays for it.
    """

    app_key = models.ForeignKey(AppKey, on_delete=models.CASCADE, related_name="tokens")
    slot = models.PositiveSmallIntegerField()
    token_hash = models.BinaryField(max_length=32, unique=True, editable=False)
    prefix = models.CharField(max_length=16, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(slot__in=(1, 2)), name="access_apptoken_slot_is_1_or_2"
            ),
            models.UniqueConstraint(
                fields=["app_key", "slot"],
                condition=models.Q(revoked_at__isnull=True),
                name="access_apptoken_two_live_tokens_a_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}…"
