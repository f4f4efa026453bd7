"""The page's tabs, a file each, with its style."""
