"""A Space on the Hub: created, given hardware, a bucket and files, and watched until it runs.

What is free, and for whom: https://huggingface.co/docs/hub/spaces-overview and …/spaces-zerogpu.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, Volume
from huggingface_hub.errors import HfHubHTTPError, HTTPError

ZERO_GPU = "zero-a10g"  # the Hub's name for ZeroGPU, whatever cards it has
CPU_BASIC = "cpu-basic"
MOUNT = "/data"  # where a bucket lies in the Space
SHARES = f"{MOUNT}/shares"
POLL = 2.0  # seconds between two looks at the stage
OLD_BUILD = 30.0  # seconds after a push for which "RUNNING" may be said of the build before it
FAILURES = 5  # looks in a row that may fail
LOG_LINES = 20

BUILDING = ("BUILDING", "RUNNING_BUILDING", "APP_STARTING", "RUNNING_APP_STARTING")
BUILD_LOG = ("BUILD_ERROR", "CONFIG_ERROR", "NO_APP_FILE")  # stages that the build's log explains

TWO_FREE = (
    "A free account may have two ZeroGPU Spaces: free one (delete it, or give it other hardware), or subscribe to PRO "
    "(https://huggingface.co/pro)"
)


class Refused(Exception):
    """The Hub does not do what was asked; says why and what to do, in one line."""


@dataclass(frozen=True)
class Ended:
    """Where a Space has come to. stage: the Hub's word, such as "RUNNING"; log: its last lines after an error."""

    stage: str
    log: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return self.stage.endswith("ERROR") or self.stage == "NO_APP_FILE"


class SpaceRepo:
    """The Space `repo_id`, a name or owner/name. Every method raises `Refused` where the Hub does not answer well."""

    def __init__(self, repo_id: str, api: HfApi | None = None):
        self.api = api or HfApi()
        self.repo_id = repo_id
        self.url = ""
        self.is_new = False

    def create(
        self, *, sdk: str = "gradio", hardware: str | None = None, bucket: str | None = None, private: bool = False
    ) -> None:
        """Make the Space if there is none.

        Args:
            hardware: the Hub's name for it; ZeroGPU for a new Gradio Space, and what it has for an old one, if None.
            bucket: owner/name of a storage bucket to attach at MOUNT, where kept pictures then lie.
            private: of a new one alone.
        """
        wanted = hardware or (ZERO_GPU if sdk == "gradio" else None)
        attached = [Volume(type="bucket", source=bucket, mount_path=MOUNT)] if bucket else None
        variables = [{"key": "ABN_SHARES", "value": SHARES}] if bucket else None
        try:
            made = self.api.create_repo(
                self.repo_id,
                repo_type="space",
                space_sdk=sdk,
                space_hardware=wanted,
                space_volumes=attached,
                space_variables=variables,
                private=private or None,
            )
            self.repo_id, self.url, self.is_new = made.repo_id, str(made), True
        except HfHubHTTPError as error:
            if not self._exists(error):
                raise Refused(why_not_created(self.repo_id, error, wanted, bucket)) from None
            self._same_kind(sdk)
            self.url = f"{self.api.endpoint}/spaces/{self.repo_id}"
            self._equip(hardware, bucket)

    def push(self, folder: Path, *, ignored: Sequence[str], replaced: str = "") -> str:
        """Upload a folder in one commit and return the commit's id.

        Args:
            replaced: a pattern of files that go if they are there and the folder has them no longer.
        """
        with self._or_refused("was not pushed to:"):
            return self.api.upload_folder(
                repo_id=self.repo_id,
                repo_type="space",
                folder_path=folder,
                ignore_patterns=list(ignored),
                delete_patterns=replaced if replaced and self._has(replaced) else None,
            ).oid

    def wait(self, commit: str | None, report: Callable[[str], None], *, poll: float | None = None) -> Ended:
        """Look at the Space's stage until it stays as it is.

        Args:
            commit: what was pushed; a Space that still runs the build before is not taken for this one.
            report: called with each new stage.
        """
        pause, began, failures, last = POLL if poll is None else poll, time.monotonic(), 0, None
        while True:
            try:
                runtime = self.api.get_space_runtime(self.repo_id)
            except HTTPError as error:  # the push is done: a short outage is no reason to give up
                failures += 1
                answered = isinstance(error, HfHubHTTPError)
                if failures > FAILURES or (answered and error.response.status_code < 500):
                    words = in_one_line(error) if answered else str(error) or type(error).__name__
                    raise Refused(f"{self.repo_id} was pushed to, but cannot be watched: {words}") from None
                time.sleep(pause)
                continue
            failures, stage = 0, str(getattr(runtime.stage, "value", runtime.stage))
            if stage != last:
                report(stage)
                last = stage
            running = runtime.raw.get("sha")
            old = commit and running and running != commit and time.monotonic() - began < OLD_BUILD
            if stage not in BUILDING and not (stage == "RUNNING" and old):
                ended = Ended(stage)
                return Ended(stage, self._log(stage)) if ended.failed else ended
            time.sleep(pause)

    def _exists(self, error: HfHubHTTPError) -> bool:
        """Whether the Space was there before. The Hub refuses to create one for want of a plan or of a right without
        looking whether that is needed."""
        code = error.response.status_code
        if code not in (401, 402, 403, 409):
            return False
        if "/" not in self.repo_id:
            try:
                self.repo_id = f"{self.api.whoami()['name']}/{self.repo_id}"
            except HfHubHTTPError:
                return False
        if code == 409 and "already" in (error.server_message or "").lower():
            return True
        try:
            self.api.space_info(self.repo_id)
        except HfHubHTTPError:
            return False
        return True

    def _has(self, pattern: str) -> bool:
        """Whether the Space holds files of that pattern; no where it cannot be asked."""
        if self.is_new:
            return False
        with suppress(HfHubHTTPError):
            return any(fnmatch(name, pattern) for name in self.api.list_repo_files(self.repo_id, repo_type="space"))
        return False

    def _same_kind(self, sdk: str) -> None:
        """Raises: Refused: a Space of another kind bears the name."""
        with self._or_refused("was not pushed to:"):
            there = self.api.space_info(self.repo_id).sdk
        if there and there != sdk:
            raise Refused(f"{self.repo_id} is a Space of another kind ({there}, not {sdk}): choose another name")

    def _equip(self, hardware: str | None, bucket: str | None) -> None:
        """Hardware and bucket of a Space that exists; what else is attached to it stays."""
        if hardware:
            with self._or_refused(f"did not get {hardware}:", hardware, bucket):
                self.api.request_space_hardware(self.repo_id, hardware)
        if bucket:
            with self._or_refused(f"did not get the bucket {bucket}:", hardware, bucket):
                others = self.api.get_space_runtime(self.repo_id).volumes or []
                kept = [volume for volume in others if volume.mount_path.rstrip("/") != MOUNT]
                volume = Volume(type="bucket", source=bucket, mount_path=MOUNT)
                self.api.set_space_volumes(self.repo_id, [*kept, volume])
                self.api.add_space_variable(self.repo_id, "ABN_SHARES", SHARES)

    def _log(self, stage: str) -> tuple[str, ...]:
        """The last lines of the log that says why; none where it cannot be had."""
        try:
            text = "\n".join(
                line.rstrip("\n") for line in self.api.fetch_space_logs(self.repo_id, build=stage in BUILD_LOG)
            )
        except HTTPError:
            return ()
        return tuple(text.splitlines()[-LOG_LINES:])

    def _or_refused(self, what: str, hardware: str | None = None, bucket: str | None = None):
        return refusing(f"{self.repo_id} {what}", hardware, bucket)


@contextmanager
def refusing(what: str, hardware: str | None = None, bucket: str | None = None) -> Iterator[None]:
    """Raises: Refused: in place of the Hub's errors inside; begins with `what`."""
    try:
        yield
    except HfHubHTTPError as error:
        raise Refused(f"{what} {what_to_do(error, hardware, bucket)}") from None


def why_not_created(repo_id: str, error: HfHubHTTPError, hardware: str | None, bucket: str | None = None) -> str:
    return f"{repo_id} was not created: {what_to_do(error, hardware, bucket)}"


def what_to_do(error: HfHubHTTPError, hardware: str | None = None, bucket: str | None = None) -> str:
    """The Hub's answer, and what there is to do about it, in one line."""
    code = error.response.status_code
    if code == 401:
        advice = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"
    elif code == 402 and hardware == ZERO_GPU:
        advice = TWO_FREE
    elif code == 402 and hardware in (None, CPU_BASIC):
        advice = f"leave --hardware out for ZeroGPU. {TWO_FREE}"
    elif code == 402:
        advice = f"{hardware} is paid by the hour: add a payment method at https://huggingface.co/settings/billing"
    elif code == 403:
        advice = (
            "use a token that may write there (https://huggingface.co/settings/tokens), and your own account's name"
        )
        advice += f"; {TWO_FREE[0].lower()}{TWO_FREE[1:]}" if hardware == ZERO_GPU else ""
    elif code == 404 and bucket:
        advice = f"make the bucket first, `hf buckets create {bucket} --private`"
    elif code == 409:
        advice = "the name is taken, or somebody changes it at this moment: try again, or choose another name"
    else:
        return in_one_line(error)
    return f"{in_one_line(error)}. What to do: {advice}"


def in_one_line(error: HfHubHTTPError) -> str:
    """The Hub's status and own words."""
    said = " ".join((error.server_message or "").split()).rstrip(".")
    return f"the Hub answered {error.response.status_code}" + (f", {said!r}" if said else "")
