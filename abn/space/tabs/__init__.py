"""The page's tabs, in their order. Each is NAME.html, NAME.css and NAME.js, and NAME.py where it asks the server: its
`ASKS` are the functions that answer."""

from . import compare, edit, explain, gallery, live, model

TABS = {"explain": explain, "compare": compare, "edit": edit, "gallery": gallery, "live": live, "model": model}
