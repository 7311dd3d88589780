"""Which parameter has no effect beside which value of another.

One that was set and has none is refused: it would be booked, logged and compared as if it had made a difference. Whether it was
set is told by its default, which may stand beside anything.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from thaw.errors import ThawError


class Idle(NamedTuple):
    """A parameter that has no effect where each of `others` has one of `values`."""

    key: str
    others: tuple[str, ...]
    values: tuple[Any, ...]
    meant: tuple[Any, ...] = ()
    """Values of `key` that ask for what happens there anyway."""


_WARPS = ("augment.rotation_degrees", "augment.zoom", "augment.shift", "augment.shear_degrees")
_COLORS = tuple(f"augment.{name}" for name in ("brightness", "contrast", "saturation", "hue", "blur"))
_OTHERS = ("augment.random_resized_crop", "augment.rand_augment_ops", "augment.erasing")
_SYMMETRIES = ("augment.horizontal_flip", "augment.vertical_flip", "augment.right_angle_turns")
IDLE = (
    Idle("model.hidden_units", ("model.head",), ("gap", "flatten")),
    *(Idle(key, ("augment.views",), (1,)) for key in (*_WARPS, *_COLORS, *_OTHERS)),
    Idle("augment.rand_augment_magnitude", ("augment.rand_augment_ops",), (0,)),
    *(Idle(key, ("augment.color",), ("grey",)) for key in ("augment.saturation", "augment.hue")),
    Idle("augment.fill_mode", (*_WARPS, "augment.rand_augment_ops"), (0,)),
    *(
        Idle(f"{phase}.{key}", (f"{phase}.{other}",), values, meant)
        for phase in ("train_frozen", "fine_tune")
        for key, other, values, meant in (
            ("min_steps", "epochs", (0,), (0,)),
            ("momentum", "optimizer", ("adam", "adamw"), ()),
            ("final_momentum", "optimizer", ("adam", "adamw", "rmsprop"), ()),
            ("weight_decay", "optimizer", ("adam",), (0,)),
            ("final_learning_rate", "schedule", ("constant",), ()),
            ("early_stopping_monitor", "early_stopping_patience", (0,), ()),
        )
    ),
    Idle("fine_tune.from_layer", ("fine_tune.strategy",), ("head", "full", "scratch")),
    Idle("fine_tune.batch_norm", ("fine_tune.strategy",), ("head",)),
    Idle("fine_tune.thawed_learning_rate_factor", ("fine_tune.strategy",), ("head",)),
    Idle("fine_tune.layer_decay", ("fine_tune.strategy",), ("head",)),
    Idle("fine_tune.test_time_augmentation", _SYMMETRIES, (False,)),
)
"""What parameters alone can tell. What a network has no use for is refused where the network is known (`no_effect`)."""


def idle_among(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[Idle]:
    """What was set and has no effect.

    Args:
        values: of every parameter, by dotted key.
        defaults: likewise.
    """
    for idle in IDLE:
        is_meant = values[idle.key] in (defaults[idle.key], *idle.meant)
        if not is_meant and all(values[other] in idle.values for other in idle.others):
            yield idle


def refuse_idle(values: Mapping[str, Any], defaults: Mapping[str, Any], source: str) -> None:
    """Refuse what was set to no effect.

    Args:
        values: of every parameter, by dotted key.
        defaults: likewise.
        source: where the values are from.

    Raises:
        ThawError: names the first such parameter, what makes it idle, and its default.
    """
    for key, others, _, _ in idle_among(values, defaults):
        beside = ", ".join(f"{other}: {values[other]}" for other in others)
        cure = f"change {others[0]}" if len(others) == 1 else f"set one of {', '.join(others)}"
        raise no_effect(key, values[key], f"beside {beside}", defaults[key], cure, f"{source}: ")


def no_effect(key: str, value: object, why: str, default: object, cure: str, source: str = "") -> ThawError:
    """The error for a parameter that was set and has no effect; `cure` is what may be done but for setting it to `default`."""
    return ThawError(f"{source}{key}: {value} has no effect {why}", f"Set {key} to {default}, or {cure}.")
