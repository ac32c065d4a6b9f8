"""Push: where to, signed how, when again, and the process that does it. The queue is the feed's."""
