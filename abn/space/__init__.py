"""The Space's user interface. `app.py` alone imports it; nothing else of `abn` does."""
