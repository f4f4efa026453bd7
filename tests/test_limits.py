"""docs/limits.md says the numbers that the code goes by."""

import pytest
from helpers import ROOT

from abn import corrections
from abn.model.pictures import MAX_PIXELS, MOST_SCANS
from abn.space.server import limits, models, shares

WORDS = " ".join((ROOT / "docs" / "limits.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    "words",
    [
        f"{limits.JSON_BYTES // limits.MB} MB, {limits.JSON_VALUES:,} values, {limits.JSON_DEPTH} brackets",
        f"| {limits.FRAME_BYTES // limits.MB} MB, 4 megapixels, baseline JPEG",
        f"folder for them | {limits.CORRECTION_BYTES // limits.MB} MB | {corrections.MOST:,} are kept |",
        f"| an upload, all files together | {limits.UPLOAD_BYTES // limits.MB} MB, {limits.UPLOAD_FILES} files |",
        f"| any other request | {limits.OTHER_BYTES // 1000} kB |",
        f"| seconds for a body to arrive | {limits.BODY_SECONDS:g} |",
        f"| {limits.BYTES_A_VISITOR // limits.MB} MB | {limits.BYTES_IN_ALL // limits.MB} MB |",
        f"| {limits.WAITING_A_VISITOR}, of which {limits.RUNNING_A_VISITOR} under way | {limits.WAITING_IN_ALL} |",
        f"a minute | {limits.BODY_BYTES_A_MINUTE // limits.MB} MB; {2 * limits.BODY_BYTES_A_MINUTE // limits.MB} can",
        f"| frames and tools' calls at a time | {limits.DIRECT_A_VISITOR} |",
        f"| connections | {limits.OPEN_A_VISITOR} | {limits.OPEN_IN_ALL:,} |",
        f"| {limits.REQUESTS_A_MINUTE:,}; the page itself counts as {limits.PAGE_REQUESTS}, a call ",
        f"a call as {limits.CALL_REQUESTS} |",
        f"| sessions begun a minute | {limits.SESSIONS_A_MINUTE}; {2 * limits.SESSIONS_A_MINUTE} can",
        f"| {limits.SECONDS_A_MINUTE:g}; {limits.SECONDS_SAVED:g} can be saved up |",
        f"| seconds that one request computes | {limits.SECONDS_A_REQUEST:g}, estimated before |",
        f"| bytes uploaded within an hour | {limits.UPLOADED_AN_HOUR / 1e9:g} GB |",
        f"| sessions whose state is kept | {limits.SESSIONS_A_VISITOR} | {limits.SESSIONS_IN_ALL} |",
        f"| {limits.LOADS_AN_HOUR} | {limits.LOADS_OF_A_MODEL} times the same |",
        f"| models that load at a time | {limits.LOADING_A_VISITOR} | {limits.LOADING_IN_ALL} |",
        f"| pictures shared within an hour | {limits.SHARES_AN_HOUR} |",
        f"| {limits.SHARES_A_VISITOR}; the visitor's oldest make way | {shares.AT_MOST}, and ",
        f"| pictures fetched from URLs at a time | {limits.URLS_A_VISITOR} | {limits.URLS_AT_A_TIME} |",
        f"{MAX_PIXELS // 1_000_000} megapixels and {MOST_SCANS} scans",
        f"one more request for each {limits.HEAVY_BYTES // limits.MB} MB",
        f"(each redirect, {limits.URL_REDIRECTS} at most,",
        f"not packed, within {limits.URL_SECONDS:g} s",
        f"{models.LIMIT / 1e9:g} GB of weights at most, and {limits.HELD_BYTES / 1e9:g} GB together",
        f"within {limits.TRIAL_BYTES / 1e9:g} GB of memory, {limits.TRIAL_SECONDS:g} s, {limits.PASS_SECONDS:g} s for",
        f"{limits.CLASSES:,} classes, {limits.NETWORK_PIXELS:,} pixels",
        f"refused for {limits.REFUSAL_SECONDS / 60:g} minutes",
        f"after {limits.CACHE_SECONDS / 3600:g} hours, those that were",
        f"cut off after {limits.UNFINISHED_SECONDS / 60:g} min",
        f" and {limits.SHARES_BYTES // limits.MB} MB |",
        f"more than {limits.CACHE_BYTES / 1e9:g} GB",
        f"forgotten after {limits.UNREAD_SECONDS / 60:g} minutes",
    ],
)
def test_a_number_is_said(words):
    assert words in WORDS
