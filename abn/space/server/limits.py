"""Every limit that keeps one visitor from harming another. `docs/limits.md` says them to people; a test compares.

Bytes and numbers are counted before anything is decoded or queued, seconds and memory while they are spent.
"""

MB = 1_000_000

# A request's body, by where it goes
JSON_BYTES = 30 * MB  # calls: a picture of 20 MB as a data URL
FRAME_BYTES = 2 * MB  # a camera's frame, which bypasses the queue
CORRECTION_BYTES = 5 * MB  # a zip of one, where they are written to a folder
UPLOAD_BYTES = 20 * MB  # all files of an upload together
UPLOAD_FILES = 16
OTHER_BYTES = 10_000
JSON_DEPTH = 12  # brackets within brackets
JSON_VALUES = 100_000  # a map of 300 x 300 places
BODY_SECONDS = 60.0  # for a body to arrive

# What may wait or run at a time
WAITING_A_VISITOR = 80  # a class behind one router: 64
WAITING_IN_ALL = 400
RUNNING_A_VISITOR = 12  # of the 16 that explain together: others always find a place
HEAVY_BYTES = 2 * MB  # of a body that make its request count as one more under way
OPEN_A_VISITOR = 400  # connections; each waiting page holds two or three
OPEN_IN_ALL = 2000
DIRECT_A_VISITOR = 72  # calls at a time that bypass the queue: Live's frames, and assistants' tools
BYTES_A_VISITOR = 100 * MB  # of bodies that are read or wait
BYTES_IN_ALL = 300 * MB
BODY_BYTES_A_MINUTE = 300 * MB  # of large bodies, a visitor's; twice as many can be saved up
SESSIONS_IN_ALL = 600  # whose state is kept; each takes 0.2 MB
SESSIONS_A_VISITOR = 100
REQUESTS_A_MINUTE = 2400  # a visitor's, but for files; Live asks up to 30 times a second
PAGE_REQUESTS = 10  # that the page itself counts as
CALL_REQUESTS = 3  # that a call counts as
SESSIONS_A_MINUTE = 120  # that a visitor begins; each takes some milliseconds

# What may be spent
SECONDS_A_MINUTE = 150.0  # of computing, a visitor's; several requests may compute at a time
SECONDS_SAVED = 300.0  # that a visitor may have saved up
SECONDS_A_REQUEST = 20.0
UPLOADED_AN_HOUR = 2000 * MB  # a visitor's
LOADS_AN_HOUR = 30  # a visitor's loads of models that are not in memory
LOADS_OF_A_MODEL = 12  # an hour, by all visitors
LOADING_A_VISITOR = 2  # at a time
LOADING_IN_ALL = 4  # requests that load or wait for it; the queue has as many places more than it computes with
REFUSAL_SECONDS = 600.0  # that a refused model stays refused

# Strangers' checkpoints
HELD_BYTES = 1500 * MB  # of weights in memory beside the default's
TRIAL_BYTES = 2600 * MB  # resident, of the process that tries a checkpoint
TRIAL_SECONDS = 60.0  # to load it and to answer once
PASS_SECONDS = 10.0  # for one picture
CLASSES = 25_000  # ImageNet's largest has 21,843
NETWORK_PIXELS = 800_000  # that a network is given of a picture: 512 x 1536

# Pictures
URL_SECONDS = 10.0  # to fetch one
URLS_AT_A_TIME = 4
URLS_A_VISITOR = 2  # at a time
URL_REDIRECTS = 3

# What is kept
SHARES_AN_HOUR = 60  # a visitor's
SHARES_A_VISITOR = 50  # of those that are kept: his own oldest go
SHARES_BYTES = 500 * MB  # in all
CACHE_SECONDS = 24 * 3600.0  # an uploaded picture's, and an answer's
CACHE_BYTES = 3000 * MB  # the oldest go first
UNFINISHED_SECONDS = 600.0  # of an upload that was cut off
UNREAD_SECONDS = 120.0  # of an answer that nobody came for
ANSWERED_CLASSES = 100  # that a program is told where it does not ask for more
