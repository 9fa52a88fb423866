"""Running: the only room where task, condition and backend meet. Start at `job.py`, then `pipeline.py`."""
