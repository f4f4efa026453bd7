"""How the page's events are declared."""

QUIET = {"show_progress": "hidden", "api_visibility": "private"}  # no dimming, no endpoint
TOGETHER = {"concurrency_id": "explain", "concurrency_limit": 16}  # who wait together share a forward pass
IN_TURN = {"concurrency_id": "one by one", "concurrency_limit": 2}  # what does not: edits, comparisons, tasks
