"""Every setting of the project. Values come from the environment through `oms.env`."""

import math
import os
from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from oms.backoffice.theme import UNFOLD as UNFOLD
from oms.env import (
    env_bool,
    env_choice,
    env_database,
    env_float,
    env_int,
    env_list,
    env_networks,
    env_pairs,
    env_ports,
    env_secret,
    env_str,
    env_time_zone,
)
from oms.ops.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent

# Process
ROLES = ("web", "workflow", "backoffice", "hooks", "sandbox", "migrate", "command")
ROLE = env_choice("BULKHEAD_ROLE", "command", ROLES)
DEBUG = env_bool("DEBUG", False)
SECRET_KEY = env_secret("SECRET_KEY") or ""
if not SECRET_KEY:
    raise ImproperlyConfigured("SECRET_KEY is not set: expected 50 random characters or more.")
# Keys that the next one replaced: what they signed and sealed is still good.
SECRET_KEY_FALLBACKS = env_list("SECRET_KEY_FALLBACKS")
# Secrets at rest are sealed with the first and opened with any (`oms.access.secrets`).
ENCRYPTION_KEYS = (env_secret("ENCRYPTION_KEYS") or "").replace(",", " ").split() or [
    SECRET_KEY,
    *SECRET_KEY_FALLBACKS,
]
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
ROOT_URLCONF = "oms.urls"
WSGI_APPLICATION = "oms.wsgi.application"
APPEND_SLASH = False

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "oms.backoffice.apps.BackofficeAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_q",
    "oms.ops",
    "oms.access",
    "oms.orders",
    "workflow",
    "feeds",
    "search",
    "oms.api",
    "oms.backoffice",
]

MIDDLEWARE = [
    "oms.ops.requests.RequestIdMiddleware",
    "oms.api.middleware.ApiBoundaryMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "oms.api.calls.ApiCallMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Database: one budget of time and connections per role. Pools only in web: they corrupt after fork.
STATEMENT_TIMEOUT_MS = {
    "web": 10_000,
    "workflow": 15_000,
    "backoffice": 120_000,
    "hooks": 15_000,
}.get(ROLE, 0)
DATABASES = {"default": env_database("DATABASE_URL")}
_options = DATABASES["default"]["OPTIONS"]
assert isinstance(_options, dict)
_options.setdefault("application_name", f"bulkhead-{ROLE}")
_options.setdefault("connect_timeout", "5")
_options.setdefault("tcp_user_timeout", "15000")
# A server that vanished without a word is noticed in 25 s, not after the system's two hours.
_options.setdefault("keepalives_idle", "10")
_options.setdefault("keepalives_interval", "5")
_options.setdefault("keepalives_count", "3")
# How long a worker may hold a step; a frozen one then also loses its session, and with it the slots
# of the connectors that it calls. Between two statements good workers are silent for a call at most.
WORK_LEASE_SECONDS = env_int("WORK_LEASE_SECONDS", 20, minimum=2)
IDLE_SESSION_SECONDS = WORK_LEASE_SECONDS + 5
_options["options"] = " ".join(
    filter(
        None,
        (
            str(_options.get("options", "")),
            f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
            "-c lock_timeout=5000" if ROLE in {"web", "workflow", "hooks", "migrate"} else "",
            "-c idle_in_transaction_session_timeout=30000"
            if ROLE in {"web", "workflow", "hooks"}
            else "",
            f"-c idle_session_timeout={IDLE_SESSION_SECONDS}s" if ROLE == "workflow" else "",
        ),
    )
)
if ROLE == "web":
    _options["pool"] = {
        "min_size": 1,
        "max_size": env_int("WEB_DB_POOL", 8, minimum=1),
        "timeout": 5,
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = None
# One round trip a request buys that a restart of PostgreSQL costs no request a 503.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Task clusters. Why each value: docs/adr/0004-task-clusters.md
CONNECTOR_TIMEOUT_SECONDS = env_float("CONNECTOR_TIMEOUT_SECONDS", 5.0, minimum=0.1)
# A task runs for 5 s and may then be in a round in which all four connectors hang.
TASK_TIMEOUT_SECONDS = max(30, math.ceil(10 + 4 * (CONNECTOR_TIMEOUT_SECONDS + 1)))
_cluster = {
    "orm": "default",
    "workers": env_int("WORKFLOW_WORKERS", 3, minimum=1),
    "queue_limit": env_int("WORKFLOW_WORKERS", 3, minimum=1),
    "poll": 0.05,
    "timeout": TASK_TIMEOUT_SECONDS,
    "retry": 4 * TASK_TIMEOUT_SECONDS,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "catch_up": False,
    "recycle": 500,
    "label": "Task queue",
}
Q_CLUSTER = {
    "name": "workflow",
    **_cluster,
    "ALT_CLUSTERS": {
        "workflow": dict(_cluster),
        "backoffice": {
            **_cluster,
            "workers": 1,
            "queue_limit": 1,
            "timeout": 3600,
            "retry": 14_400,
        },
    },
}
Q_CLUSTER_NAME = os.environ.get("Q_CLUSTER_NAME", "workflow")

# Workflow
WINDOW_TO_CANCEL_SECONDS = env_int("WINDOW_TO_CANCEL_SECONDS", 1800)
# A second call to cancel confirms a requested cancellation if it comes at least this much later.
CANCELLATION_CONFIRM_SECONDS = env_int("CANCELLATION_CONFIRM_SECONDS", 30)
# Orders above this value wait for somebody to authorize them; 0: none do.
AUTHORIZATION_ABOVE_CENTS = env_int("AUTHORIZATION_ABOVE_CENTS", 0)
WORK_MAX_ATTEMPTS = env_int("WORK_MAX_ATTEMPTS", 12, minimum=1)
SWEEP_SECONDS = env_float("SWEEP_SECONDS", 2.0, minimum=0.1)
# A cluster is replaced when no task of it has reported for so long. Must exceed the longest silence
# of good work: a batch of calls for the workflow, a slice of an export for the back office.
CLUSTER_STUCK_SECONDS = {
    "workflow": env_float("WORKFLOW_STUCK_SECONDS", 20.0, minimum=1.0),
    "backoffice": env_float("BACKOFFICE_STUCK_SECONDS", 120.0, minimum=1.0),
}
if CLUSTER_STUCK_SECONDS["workflow"] < CONNECTOR_TIMEOUT_SECONDS + 5:
    raise ImproperlyConfigured(
        f"WORKFLOW_STUCK_SECONDS={CLUSTER_STUCK_SECONDS['workflow']}: expected "
        f"CONNECTOR_TIMEOUT_SECONDS ({CONNECTOR_TIMEOUT_SECONDS}) and 5 more, else good work is killed."
    )
FORGET_INSTANCES_AFTER = timedelta(days=1)
FORGET_TASK_FAILURES_AFTER = timedelta(days=env_int("TASK_FAILURES_KEPT_DAYS", 30, minimum=1))
# So far back, a filter by expression can be asked again what it would have matched.
FORGET_SNAPSHOTS_AFTER = timedelta(days=env_int("SNAPSHOTS_KEPT_DAYS", 31, minimum=1))
# What runs every day, at which hour (UTC). Written by `oms.ops.schedules`.
NIGHTLY_AT_HOUR = env_int("NIGHTLY_AT_HOUR", 3) % 24
SCHEDULES = {
    "check timelines": {
        "function": "oms.orders.tasks.check_timelines_in_slices",
        "cluster": "backoffice",
        "hour": NIGHTLY_AT_HOUR,
    },
    "forget deliveries": {
        "function": "feeds.housekeeping.forget_history",
        "cluster": "backoffice",
        "hour": NIGHTLY_AT_HOUR,
    },
    "forget what is over": {
        "function": "oms.ops.housekeeping.forget_what_is_over",
        "cluster": "backoffice",
        "hour": NIGHTLY_AT_HOUR,
    },
    "forget old snapshots": {
        "function": "oms.orders.tasks.forget_old_snapshots",
        "cluster": "backoffice",
        "hour": NIGHTLY_AT_HOUR,
    },
}

# Store: who sells, and what its documents say about money
STORE_NAME = env_str("STORE_NAME", "bulkhead")
STORE_COUNTRY = env_str("STORE_COUNTRY", "BRA")
STORE_CURRENCY = env_str("STORE_CURRENCY", "BRL")
STORE_CURRENCY_SYMBOL = env_str("STORE_CURRENCY_SYMBOL", "R$")
STORE_TIME_ZONE = env_time_zone("STORE_TIME_ZONE", "UTC")
OWN_SELLER_IDS = env_list("OWN_SELLER_IDS", "1")
# What sales channels are called, by id: `1=Main,2=Wholesale`. The order list can be asked by name.
SALES_CHANNEL_NAMES = env_pairs("SALES_CHANNEL_NAMES")

# Placing: delivery options whose name begins with one of these words overtake; size of one request
EXPRESS_SLA_WORDS = env_list("EXPRESS_SLA_WORDS", "express,same day,same-day,sameday")
PLACEMENT_MAX_PURCHASES = env_int("PLACEMENT_MAX_PURCHASES", 1000, minimum=1)
PLACEMENT_MAX_ITEMS = env_int("PLACEMENT_MAX_ITEMS", 1000, minimum=1)

# Feeds: how long what has ended stays to be looked at, and when a quiet feed counts as forgotten
FEED_HISTORY_DAYS = env_int("FEED_HISTORY_DAYS", 30, minimum=1)
FEED_IDLE_DAYS = env_int("FEED_IDLE_DAYS", 3, minimum=1)

# Connectors
SANDBOX_URL = env_str("SANDBOX_URL", "http://127.0.0.1:8011")
# How long the sandbox's carrier takes to deliver a parcel, on average.
SANDBOX_TRANSIT_SECONDS = env_float("SANDBOX_TRANSIT_SECONDS", 240.0)
CONNECTORS = {
    "antifraud": env_str("ANTIFRAUD_URL", f"{SANDBOX_URL}/antifraud"),
    "payments": env_str("PAYMENTS_URL", f"{SANDBOX_URL}/payments"),
    "stock": env_str("STOCK_URL", f"{SANDBOX_URL}/stock"),
    "carrier": env_str("CARRIER_URL", f"{SANDBOX_URL}/carrier"),
}
if WORK_LEASE_SECONDS < CONNECTOR_TIMEOUT_SECONDS + 2:
    raise ImproperlyConfigured(
        f"WORK_LEASE_SECONDS={WORK_LEASE_SECONDS}: expected CONNECTOR_TIMEOUT_SECONDS "
        f"({CONNECTOR_TIMEOUT_SECONDS}) and 2 more, else calls outlive their leases."
    )
CONNECTOR_CALLS_AT_ONCE = env_int("CONNECTOR_CALLS_AT_ONCE", 20, minimum=1)
# How many workers of all clusters one connector may keep busy at once.
CONNECTOR_SLOTS = env_int("CONNECTOR_SLOTS", 2, minimum=1)

# Hooks. A call has a total limit of 5 s, as the contract says.
HOOK_TIMEOUT_SECONDS = env_float("HOOK_TIMEOUT_SECONDS", 5.0, minimum=0.1)
HOOK_CALLS_PER_RECEIVER = env_int("HOOK_CALLS_PER_RECEIVER", 8, minimum=1)
HOOK_CALLS_AT_ONCE = env_int("HOOK_CALLS_AT_ONCE", 128, minimum=1)
HOOK_DISABLED_AFTER_DAYS = env_int("HOOK_DISABLED_AFTER_DAYS", 5, minimum=1)
HOOK_SECRET_OVERLAP_HOURS = env_int("HOOK_SECRET_OVERLAP_HOURS", 24)
# Ports that may be called, or `any`; networks that may be called although special (tests, demo).
HOOK_PORTS = env_ports("HOOK_PORTS", "443,8443")
HOOK_ALLOW_HTTP = env_bool("HOOK_ALLOW_HTTP", False)
HOOK_ALLOWED_ADDRESSES = env_networks("HOOK_ALLOWED_ADDRESSES")
# A file of certificate authorities that are trusted beside the system's.
HOOK_CA_FILE = env_str("HOOK_CA_FILE")

# API
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
APP_KEY_CACHE_SECONDS = env_float("APP_KEY_CACHE_SECONDS", 5.0)
# Requests a minute of a key without a limit of its own, shared by all workers; 0: no limit.
API_REQUESTS_PER_MINUTE = env_int("API_REQUESTS_PER_MINUTE", 6_000)
# The same for the order list alone, of a key that walks it as if it were a feed.
LIST_POLLER_REQUESTS_PER_MINUTE = env_int("LIST_POLLER_REQUESTS_PER_MINUTE", 60)
IDEMPOTENCY_KEYS_KEPT = timedelta(hours=env_int("IDEMPOTENCY_KEYS_KEPT_HOURS", 24, minimum=24))
# How many proxies of ours write X-Forwarded-For; everything before theirs is the caller's claim.
TRUSTED_PROXY_COUNT = env_int("TRUSTED_PROXY_COUNT", 1 if env_bool("BEHIND_PROXY", False) else 0)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["oms.api.authentication.AppKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["oms.api.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["oms.api.rendering.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["oms.api.parsing.JsonBodyParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "oms.api.rendering.AlwaysJson",
    "DEFAULT_SCHEMA_CLASS": "oms.api.description.schema.DescribedSchema",
    "EXCEPTION_HANDLER": "oms.api.errors.answer_exception",
    "DEFAULT_METADATA_CLASS": None,
    "UNAUTHENTICATED_USER": None,
}
# What each operation is: oms/api/description
SPECTACULAR_SETTINGS = {
    "TITLE": "Bulkhead order API",
    "VERSION": "1",
    "DESCRIPTION": "Orders, their feed, hook and ledger. Guide: docs/integrators.md.",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/api/",
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATION_PARAMETERS": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "oms.api.description.schema.add_shapes",
    ],
}

# People
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
# Where collectstatic put compressed copies; without it files come from the packages themselves.
STATIC_ROOT = env_str("STATIC_ROOT") or None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]

# Transport
HTTPS = env_bool("HTTPS", True)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/", r"^(healthz|livez)$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env_bool("BEHIND_PROXY", False) else None
)
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True

LOGGING = logging_config(
    level=env_choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")), role=ROLE
)
LOGGING_CONFIG = "oms.ops.logs.configure"
