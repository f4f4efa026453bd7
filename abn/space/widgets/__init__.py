"""The page's own components: a folder each, with its script and its style."""
