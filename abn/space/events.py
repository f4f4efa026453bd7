"""How the page's events are declared."""

QUIET = {"show_progress": "hidden", "api_visibility": "private"}  # no dimming, no endpoint
ONE_QUEUE = {"concurrency_id": "explain", "concurrency_limit": 16}  # who wait together share a forward pass
