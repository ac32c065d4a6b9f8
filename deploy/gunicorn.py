"""gunicorn's settings for the web role, wherever it runs."""

import os

from oms.ops.logs import logging_config

bind = os.environ.get("WEB_BIND", f"127.0.0.1:{os.environ.get('PORT', '8000')}")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Threads, so that a slow client or a connection kept alive holds no worker. No more of them than
# connections in the pool (WEB_DB_POOL).
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "8"))
timeout = 60
# A request outlives the statement timeout of the role (10 s) by a little, and no more.
graceful_timeout = int(os.environ.get("WEB_GRACEFUL_SECONDS", "12"))
keepalive = 15
max_requests = 20_000
max_requests_jitter = 2_000
# By default gunicorn opens a control socket below the home directory; nothing here uses it.
control_socket_disable = True
# Heartbeat files on disk stall the workers when the disk does.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
logconfig_dict = logging_config(level=os.environ.get("LOG_LEVEL", "INFO"), role="web")
