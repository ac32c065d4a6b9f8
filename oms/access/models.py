"""
App keys and their tokens: who an integration is, and what proves it.

Below them what is remembered of a key's calls: answers to repeated writes, how much of its quota
is used, and that it walks the order list as if that were a feed.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class AppKey(models.Model):
    """
    One integration: its owner, what it may do and for which sellers.

    `seller_ids` and `affiliate_ids` are None for a key that is not restricted; an empty list would
    read as either nothing or everything, so the database refuses it. `requests_per_minute` of None
    is the setting's.
    """

    app_key = models.TextField(unique=True, editable=False)
    owner_name = models.TextField()
    owner_contact = models.TextField(blank=True)
    scopes = ArrayField(models.TextField())
    seller_ids = ArrayField(models.TextField(), null=True, blank=True)
    affiliate_ids = ArrayField(models.TextField(), null=True, blank=True)
    is_active = models.BooleanField(default=True)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
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
            models.CheckConstraint(
                condition=models.Q(requests_per_minute__isnull=True)
                | models.Q(requests_per_minute__gt=0),
                name="access_appkey_may_ask_once_a_minute",
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


class RecordedAnswer(models.Model):
    """
    What a write with an Idempotency-Key was answered, written in the transaction of its effect.

    A row is a whole answer: while the write is under way nothing but an advisory lock is there.
    `request_hash` is SHA-256 over method, address and body; `body` is encrypted.
    """

    app_key = models.ForeignKey(AppKey, on_delete=models.CASCADE, related_name="+", db_index=False)
    idempotency_key = models.CharField(max_length=255)
    request_hash = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=100)
    body = models.BinaryField()
    answered_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["app_key", "idempotency_key"], name="access_answer_once_a_key"
            )
        ]
        indexes = [models.Index(fields=["answered_at"], name="access_answer_oldest")]

    def __str__(self) -> str:
        return f"{self.status} for {self.idempotency_key}"


class UsedQuota(models.Model):
    """
    How many requests of a key's minute are handed out to workers (`oms.access.limits`).

    One row a key and bucket, written over and over: the last minute is forgotten by the next.
    """

    app_key = models.ForeignKey(AppKey, on_delete=models.CASCADE, related_name="+", db_index=False)
    bucket = models.CharField(max_length=20)
    minute = models.DateTimeField()
    taken = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["app_key", "bucket"], name="access_quota_once_a_key_and_bucket"
            )
        ]

    def __str__(self) -> str:
        return f"{self.taken} of {self.bucket} in {self.minute:%H:%M}"


class ListPoller(models.Model):
    """
    A key that walks the order list by date or page instead of reading a feed.

    `pattern` names the habit (`oms.access.polling`), `example` the filter that is walked, without
    its values: they may name people. `starting_position` is where the ledger ended before the last
    list that was answered: reading events after it misses nothing.
    """

    app_key = models.OneToOneField(
        AppKey, on_delete=models.CASCADE, primary_key=True, related_name="list_poller"
    )
    pattern = models.CharField(max_length=20)
    example = models.TextField(blank=True)
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    request_count = models.BigIntegerField(default=0)
    starting_position = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.app_key_id}: {self.pattern}"
