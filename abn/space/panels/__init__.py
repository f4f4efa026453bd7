"""What the page shows for networks that have it: tasks, layers, a pad to draw on."""
