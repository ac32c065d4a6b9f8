"""gunicorn's settings for the web role, wherever it runs."""

import os
import socket
import struct
from typing import Any

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
# The order list takes up to a thousand values of a parameter; this is the most that gunicorn allows.
limit_request_line = 8190
max_requests = 20_000
max_requests_jitter = 2_000
# By default gunicorn opens a control socket below the home directory; nothing here uses it.
control_socket_disable = True
# Heartbeat files on disk stall the workers when the disk does.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
logconfig_dict = logging_config(level=os.environ.get("LOG_LEVEL", "INFO"), role="web")

# How long a client may be silent in the middle of a request or an answer. gunicorn sets no limit of
# its own there: a phone that lost its network would keep a thread for ever.
CLIENT_SECONDS = int(os.environ.get("WEB_CLIENT_SECONDS", "30"))


def when_ready(server: Any) -> None:
    """
    This hook will limit, on the listening sockets, how long clients may be silent.

    What is accepted from them inherits it (Linux). A connection that has sent nothing yet, such as
    browsers open in advance, stays in the kernel and takes no thread.
    """
    limit = struct.pack("@ll", CLIENT_SECONDS, 0)
    for listener in server.LISTENERS:
        if listener.sock.family == socket.AF_UNIX:
            continue  # a proxy on the same host, which does not stop halfway
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        if hasattr(socket, "TCP_DEFER_ACCEPT"):
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, CLIENT_SECONDS)
