"""The page without a server: a folder of static files in which the network runs in the visitor's own browser."""
