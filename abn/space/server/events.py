"""How the page's events are declared. Requests that load a model have places of their own, beside these."""

from .limits import LOADING_IN_ALL

QUIET = {"show_progress": "hidden", "api_visibility": "private"}  # no dimming, no endpoint
# Who wait together share a forward pass
TOGETHER = {"concurrency_id": "explain", "concurrency_limit": 16 + LOADING_IN_ALL}
# What does not: edits, comparisons, tasks
IN_TURN = {"concurrency_id": "one by one", "concurrency_limit": 2 + LOADING_IN_ALL}
