"""Which stages a run looks at, and why each of them is out of date."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from thaw.errors import ThawError
from thaw.params import flatten

if TYPE_CHECKING:
    from thaw.versioning.repo import DvcRepo


def choose_stages(
    repo: "DvcRepo", changed: Callable[[str], bool], only: Sequence[str] = (), from_stage: str = ""
) -> list[str]:
    """The names of the stages to look at, in order: all, those of `only`, or `from_stage` and all that depends on it.

    Args:
        changed: whether the stage of a name is out of date.

    Raises:
        ThawError: there is no such stage; or one that a chosen stage depends on, and that is not chosen itself, is out of
            date: what it makes would stand beside parameters, data or code that did not make it.
    """
    names = [spec.name for spec in repo.stages()]
    if not only and not from_stage:
        return names
    for name in only:
        repo.stage(name)  # which says so where there is none
    chosen = [name for name in names if name in only] if only else repo.downstream(from_stage)
    option = " ".join(f"--only {name}" for name in only) if only else f"--from {from_stage}"
    needed = [other for stage in chosen for other in repo.upstream(stage) if other not in chosen]
    for dirty in dict.fromkeys(needed):
        if changed(dirty):
            raise ThawError(
                f"{option}: {dirty}, which it depends on, is out of date",
                f"Run `thaw run`, or `thaw run {option.split()[0]} {dirty}` first.",
            )
    return chosen


def reasons_to_run(stage: Any, values: Mapping[str, Any], remade: Mapping[str, str]) -> list[str]:
    """Why a stage of DVC is out of date; nothing where it is not.

    Args:
        values: of `params.yaml`, as they will be.
        remade: path of each file and folder that is going to be made anew to the stage that makes it.
    """
    deps = [dep for dep in stage.deps if not hasattr(dep, "params")]
    coming = [f"{dep} will change ({remade[dep.fs_path]} runs)" for dep in deps if dep.fs_path in remade]
    here = [dep for dep in deps if dep.fs_path not in remade]
    if not any(item.hash_info for item in (*stage.deps, *stage.outs)):
        missing = [f"{dep} is missing" for dep in here if not dep.exists]
        return ["it has not run yet, as far as dvc.lock knows", *coming, *missing]
    command = ["its command changed"] if stage.changed_stage() else []
    changes = [*command, *_changed_values(stage, values), *coming, *_told(here)]
    return changes or _told(stage.outs)


def _told(items: Sequence[Any]) -> list[str]:
    words = {
        "deleted": "is missing",
        "modified": "changed",
        "new": "is new",
        "not in cache": "is not in DVC's cache",
    }
    return [f"{name} {words.get(state, state)}" for item in items for name, state in item.status().items()]


def _changed_values(stage: Any, values: Mapping[str, Any]) -> list[str]:
    """Each parameter, by dotted key, that has another value than `dvc.lock` holds."""
    changes = []
    for dep in stage.deps:
        if not hasattr(dep, "params"):
            continue
        booked = dep.hash_info.value if dep.hash_info else {}
        old, new = _leaves(dep.params, booked.get), _leaves(dep.params, lambda key: _look_up(values, key))
        for name in dict.fromkeys([*old, *new]):
            if name not in old:
                changes.append(f"{name} is new: {new[name]}")
            elif name not in new:
                changes.append(f"{name} is gone")
            elif old[name] != new[name]:
                changes.append(f"{name}: {old[name]} -> {new[name]}")
    return changes


def _leaves(keys: Iterable[str], look_up: Callable[[str], Any]) -> dict[str, Any]:
    """The values at and below some keys, by dotted key; a key without a value is left out."""
    return flatten({key: value for key in keys if (value := look_up(key)) is not None})


def _look_up(values: Mapping[str, Any], key: str) -> Any:
    found: Any = values
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
