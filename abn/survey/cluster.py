"""A survey over a Ray cluster: the same function as Ray Data's actors.

Each row of the Ray data set is a group of pictures. On CPUs an actor a core decodes and explains;
on GPUs tasks on the cluster's CPUs decode, and an actor a GPU explains. Every machine must see the pictures and the
checkpoint under the same paths, and have this package; the table is written where the command runs.
"""

import argparse
import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

BLOCK = 4  # groups that an actor is sent at once
DEADLINE = 10.0  # seconds in which a cluster must answer
PLACES = pa.schema({"shard": pa.int64(), "start": pa.int64(), "stop": pa.int64()})


class Explain:
    """An actor: groups of places, or of decoded pictures, -> their rows."""

    def __init__(self, args: argparse.Namespace, held: Any, mark: str):
        """Raises: ValueError: this machine has another checkpoint under that name."""
        import ray
        import torch

        from ..explanation import Explainer
        from .rows import Rows, mark_of, quick

        explainer = Explainer.from_pretrained(args.checkpoint)
        if mark_of(explainer) != mark:
            raise ValueError(f"a machine of the cluster has another network under {args.checkpoint}")
        if explainer.device.type == "cpu":
            torch.set_num_threads(1)
        listing, self.decode = ray.get(held)
        inside = bool(args.boxes or args.masks)
        self.rows = Rows(quick(explainer, args.precision), listing, args.view, args.faithfulness, inside)

    def __call__(self, batch: dict) -> pa.Table:
        if "decoded" in batch:
            groups = [pickle.loads(each) for each in batch["decoded"]]
        else:
            groups = [self.decode(range(*pair)) for pair in zip(batch["start"], batch["stop"], strict=True)]
        tables = [self.rows.rows(group) for group in groups]
        return pa.concat_tables(
            table.append_column("shard", pa.array([shard] * len(table), pa.int64()))
            for shard, table in zip(batch["shard"], tables, strict=True)
        )


def decoded(batch: dict, held: Any) -> dict:
    """A task: groups of places -> their pictures, as bytes."""
    import ray

    _, decode = ray.get(held)
    pairs = zip(batch["start"], batch["stop"], strict=True)
    found = [pickle.dumps(decode(range(*pair)), pickle.HIGHEST_PROTOCOL) for pair in pairs]
    return {"shard": batch["shard"], "decoded": found}


def run_on_ray(
    job, args: argparse.Namespace, shards, missing: Sequence[int], report: Callable[[int], object]
) -> Iterator[tuple[int, pa.Table]]:
    """(shard, its rows) of each that is missing, in order; see `Job.tables`.

    Raises:
        ValueError: the cluster cannot be reached, or work on it failed; in one line.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers' host
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what fails is raised here
    import ray

    from .here import groups_of

    began = not ray.is_initialized()
    if began:
        _connect(ray, args.ray)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.ERROR)
        context.execution_options.preserve_order = True
        held = ray.put((job.listing, job.decode))
        blocks = []
        for shard in missing:
            groups = groups_of(shards.places(shard))
            for some in (groups[start : start + BLOCK] for start in range(0, len(groups), BLOCK)):
                columns = [[shard] * len(some), [group.start for group in some], [group.stop for group in some]]
                blocks.append(pa.table(columns, schema=PLACES))
        found = _stages(ray, ray.data.from_arrow(blocks), args, held, job.settings["network"])
        yield from _whole_shards(found, shards, report)
    except ray.exceptions.RayError as error:
        raise ValueError(f"work on the cluster failed: {_last_line(error)}") from None
    finally:
        if began:
            ray.shutdown()


def _stages(ray, data, args: argparse.Namespace, held, mark: str):
    there = ray.cluster_resources()
    gpus, cores = int(there.get("GPU", 0)), max(1, int(there.get("CPU", 1)))
    if gpus:
        data = data.map_batches(decoded, batch_size=1, fn_kwargs={"held": held})
    return data.map_batches(
        Explain,
        batch_size=1,
        fn_constructor_args=(args, held, mark),
        num_gpus=1 if gpus else None,
        num_cpus=None if gpus else 1,
        compute=ray.data.ActorPoolStrategy(size=gpus or cores),
    )


def _whole_shards(data, shards, report: Callable[[int], object]) -> Iterator[tuple[int, pa.Table]]:
    """Rows as they come, gathered into shards."""
    parts: dict[int, list[pa.Table]] = {}
    for batch in data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        report(len(batch))
        for shard in batch["shard"].unique().to_pylist():
            some = batch.filter(pc.equal(batch["shard"], shard)).drop_columns(["shard"])
            parts.setdefault(shard, []).append(some)
            if sum(map(len, parts[shard])) == len(shards.places(shard)):
                yield shard, pa.concat_tables(parts.pop(shard))


def _check_answers(address: str) -> None:
    """Ray itself waits for minutes. Raises: OSError: nothing answers at HOST:PORT."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=DEADLINE).close()


def _connect(ray, address: str) -> None:
    how = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    try:
        if address == "auto":
            ray.init(**how)  # a running cluster where there is one, else one of this machine
        else:
            _check_answers(address)
            ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"--ray {address}: no Ray cluster can be reached ({_last_line(error)})") from None


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]
