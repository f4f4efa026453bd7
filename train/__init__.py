"""Training of Attention Branch Networks. The command is `python train/run.py`; the library `abn` never imports this."""
