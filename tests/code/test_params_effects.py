"""Parameters that have no effect beside another one: what is declared is so, and what is set to no effect is refused."""

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest

from thaw import models
from thaw.augmentation.policy import make_view, picture_key, symmetries
from thaw.errors import ThawError
from thaw.models.freezing import rate_factors
from thaw.params import Params, parse_params
from thaw.params.effects import IDLE, Idle
from thaw.training.optimizers import build_optimizer, set_step
from thaw.training.schedule import anneal_learning_rate, anneal_momentum
from thaw.training.stopping import best_epoch

DEFAULTS = Params().flat(Params().sections())
OTHER_VALUES = {
    "hidden_units": 3, "fill_mode": "constant", "min_steps": 40, "momentum": 0.5, "final_momentum": 0.1, "weight_decay": 0.5,
    "final_learning_rate": 0.1, "from_layer": "block14", "batch_norm": "train", "thawed_learning_rate_factor": 0.1,
    "rotation_degrees": 20.0, "zoom": 0.3, "shift": 0.3, "shear_degrees": 20.0, "brightness": 0.4,
    "contrast": 0.4, "saturation": 0.4, "hue": 0.3, "blur": 2.0, "random_resized_crop": 0.3,
    "rand_augment_ops": 2, "rand_augment_magnitude": 25.0, "erasing": 1.0,
    "test_time_augmentation": True, "layer_decay": 0.5, "early_stopping_monitor": "accuracy",
}  # fmt: skip
ACTIVE_VALUES: dict[str, Any] = {
    "head": "dense", "views": 3, "epochs": 2, "optimizer": "sgd", "schedule": "linear", "early_stopping_patience": 1,
    "strategy": "partial", "color": "rgb",
    "rotation_degrees": 20.0, "zoom": 0.3, "shift": 0.3, "shear_degrees": 20.0, "rand_augment_ops": 3,
    "horizontal_flip": True, "vertical_flip": True, "right_angle_turns": True,
}  # fmt: skip
"""Of the parameter beside it: with which the one that may be idle counts."""
EPOCHS: list[Any] = [
    {"metrics": {"validation_loss": loss, "validation_accuracy": accuracy}} for loss, accuracy in ((0.5, 0.7), (0.4, 0.6))
]
"""The lowest loss and the highest accuracy are not of one epoch."""
NAMES = [f"{rule.key}-{rule.others[0].split('.')[-1]}" for rule in IDLE]


def last(key: str) -> str:
    return key.split(".")[-1]


def parsed(**changes: Any) -> Params:
    """The defaults with dotted keys (`__` for the dot) changed, unchecked."""
    values = Params().model_dump(by_alias=True)
    for key, value in changes.items():
        section, name = key.split("__")
        values[section][name] = value
    return Params.model_validate(values)


def change(values: dict[str, Any]) -> dict[str, Any]:
    return {key.replace(".", "__"): value for key, value in values.items()}


def head_of(params: Params) -> Any:
    keras.backend.clear_session()
    features = keras.Input((2, 2, 3))
    logits = models.heads.add_head(features, params.model, 1)
    return keras.Model(features, logits).to_json()


def trained(params: Any) -> Any:
    """What some steps make of two weights, by an optimizer and its schedules, for a gradient that changes."""
    keras.backend.clear_session()
    weights = keras.Variable([1.0, -2.0], name="kernel")
    optimizer = build_optimizer(params, [weights])
    steps = params.epochs_of(4) * 4
    rates, momenta = anneal_learning_rate(params, 4), anneal_momentum(params, 4)
    for step in range(steps):
        set_step(optimizer, rates.at(step), momenta.at(step))
        optimizer.apply([keras.ops.convert_to_tensor([1.0, 0.5 * (-1) ** step])])
    return steps, np.asarray(weights).tolist()


def pictures_of(params: Params) -> Any:
    channels = 1 if params.augment.color == "grey" else 3
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, channels), np.uint8)
    keys = [picture_key(1, f"{number}.png") for number in range(4)]
    return [make_view(picture, params.augment, key, view).tolist() for key in keys for view in range(params.augment.views)]


@cache
def network() -> keras.Model:
    return models.build(parsed(model__weights="none").model, (32, 32, 3), 2, seed=1)


def thawed(params: Params) -> Any:
    """What trains, and at which share of the learning rate."""
    tuned = params.fine_tune
    models.freeze(network(), tuned.strategy, tuned.from_layer, tuned.batch_norm)
    factors = rate_factors(network(), tuned.thawed_learning_rate_factor, tuned.layer_decay)
    return {layer.name: factors.get(layer.name, 1.0) for layer in network().layers if layer.trainable_weights}


def answered_by(params: Params) -> Any:
    """The flips and turns of a picture that the model answers with the mean of."""
    return symmetries(params.augment) if params.fine_tune.test_time_augmentation else [(0, False)]


def made_with(key: str, params: Params) -> Any:
    """What the code makes of the parameters that a rule is about."""
    if key == "fine_tune.test_time_augmentation":
        return answered_by(params)
    if last(key) == "early_stopping_monitor":
        return best_epoch(EPOCHS, getattr(params, key.split(".")[0]))
    probes: dict[str, Callable[[], Any]] = {
        "model": lambda: head_of(params),
        "augment": lambda: pictures_of(params),
        "train_frozen": lambda: trained(params.train_frozen),
        "fine_tune": lambda: thawed(params) if "strategy" in of_fine_tune(key) else trained(params.fine_tune),
    }
    return probes[key.split(".")[0]]()


def of_fine_tune(key: str) -> set[str]:
    return {last(other) for rule in IDLE if rule.key == key for other in rule.others}


@pytest.mark.parametrize("rule", IDLE, ids=NAMES)
def test_a_parameter_is_idle_where_it_is_said_to_be_and_there_alone(rule: Idle) -> None:
    other_value = {rule.key: OTHER_VALUES[last(rule.key)]}
    for value in rule.values:
        beside = dict.fromkeys(rule.others, value)
        one, two = (made_with(rule.key, parsed(**change(beside | more))) for more in ({}, other_value))
        assert one == two, "it has an effect"
    for other in rule.others:  # any one of them is enough
        beside = dict.fromkeys(rule.others, rule.values[0]) | {other: ACTIVE_VALUES[last(other)]}
        one, two = (made_with(rule.key, parsed(**change(beside | more))) for more in ({}, other_value))
        assert one != two, "it has no effect here either"


@pytest.mark.parametrize("rule", IDLE, ids=NAMES)
def test_what_is_set_to_no_effect_is_refused_with_the_cure(rule: Idle) -> None:
    beside, wanted = dict.fromkeys(rule.others, rule.values[0]), OTHER_VALUES[last(rule.key)]
    refused = parsed(**change(beside | {rule.key: wanted})).model_dump(by_alias=True)
    with pytest.raises(ThawError) as raised:
        parse_params(refused, "params.yaml")
    other = f"{rule.others[0]}: {beside[rule.others[0]]}"
    assert raised.value.reason.startswith(f"params.yaml: {rule.key}: {wanted} has no effect beside {other}")
    assert raised.value.cure.startswith(f"Set {rule.key} to {DEFAULTS[rule.key]}, or ")
    assert rule.others[0] in raised.value.cure


@pytest.mark.parametrize("rule", IDLE, ids=NAMES)
def test_a_default_may_stand_beside_anything(rule: Idle) -> None:
    active = {other: ACTIVE_VALUES[last(other)] for other in rule.others}
    for beside in (active, *(dict.fromkeys(rule.others, value) for value in rule.values)):
        values = parsed(**change(beside))
        assert parse_params(values.model_dump(by_alias=True)) == values
    for meant in rule.meant:
        agreeing = dict.fromkeys(rule.others, rule.values[0]) | {rule.key: meant}
        values = parsed(**change(agreeing))
        assert parse_params(values.model_dump(by_alias=True)) == values


def test_what_has_an_effect_is_let_through() -> None:
    values = parsed(model__head="dense", model__hidden_units=3, augment__zoom=0.1, augment__fill_mode="wrap")
    assert parse_params(values.model_dump(by_alias=True)) == values
