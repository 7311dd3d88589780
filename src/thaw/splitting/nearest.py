"""The division nearest to the quotas, as an integer program (solver: HiGHS; Huangfu and Hall 2018, Math. Prog. Comp. 10)."""

from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import coo_array, csr_array, eye_array, hstack, kron, vstack

_NODES = 1000
"""Of the search: a second or two. Some twenty groups are exact whatever their sizes, and all where the quotas can be met;
else the best division found is taken."""
_INFEASIBLE = 2


def nearest_division(
    counts: np.ndarray, singles: np.ndarray, class_of: np.ndarray, quotas: np.ndarray, missing: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Divide groups and single images: the sum of the differences from the quotas, over strata and over classes, is least.

    Args:
        counts: `(groups, strata)`, images; of groups that are alike the first go to the first splits.
        singles: `(strata,)`, images without a group.
        class_of: `(strata,)`, the number of each one's class.
        quotas: `(strata, splits)`, images; they may lie below 0.
        missing: `(classes, splits)`, where a class has still to get an image.

    Returns:
        The split of each group `(groups,)`, and how many single images each split gets `(strata, splits)`; None where
        no division gives every class what it is missing.
    """
    splits = quotas.shape[1]
    kinds, first, kind_of, times = np.unique(
        counts, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    seen = np.argsort(first)  # as the groups come: of equally near divisions their order decides
    content = vstack([csr_array(kinds[seen]), eye_array(len(singles))]).tocsr()
    taken = _solve(content, np.concatenate([times[seen], singles]), class_of, quotas, missing)
    if taken is None:
        return None
    chosen = np.zeros(len(counts), np.int64)
    for number, kind in enumerate(seen):
        chosen[kind_of == kind] = np.repeat(np.arange(splits), taken[number])
    return chosen, taken[len(seen) :]


def _solve(
    content: csr_array, times: np.ndarray, class_of: np.ndarray, quotas: np.ndarray, missing: np.ndarray
) -> np.ndarray | None:
    """How many of each kind `(kinds, strata)` go to each split, `(kinds, splits)`; None: it cannot be done."""
    splits = eye_array(quotas.shape[1])
    classes = coo_array((np.ones(len(class_of)), (class_of, np.arange(len(class_of)))))
    sums = vstack([eye_array(len(class_of)), classes]) if classes.shape[0] < len(class_of) else classes
    wanted = (sums @ quotas).ravel()
    images = kron(sums @ content.T, splits)
    whole = kron(eye_array(len(times)), np.ones((1, len(quotas[0]))))
    present = kron(classes @ content.T, splits).tocsr()[missing.ravel()]
    slack, none = eye_array(len(wanted)), csr_array((whole.shape[0], len(wanted)))
    constraints = [
        LinearConstraint(hstack([whole, none]), times, times),
        LinearConstraint(hstack([images, -slack]), -np.inf, wanted),
        LinearConstraint(hstack([images, slack]), wanted, np.inf),
        LinearConstraint(hstack([present, csr_array((present.shape[0], len(wanted)))]), 1, np.inf),
    ]
    free = np.full(len(wanted), np.inf)
    program: dict[str, Any] = {
        "integrality": np.repeat([1, 0], [images.shape[1], len(wanted)]),
        "bounds": Bounds(0, np.concatenate([np.repeat(times, len(quotas[0])), free])),
        "constraints": constraints,
    }
    found = _run(np.repeat([0, 1], [images.shape[1], len(wanted)]), program)
    if found is None:
        return None
    return np.rint(found[: images.shape[1]]).astype(np.int64).reshape(len(times), -1)


def _run(cost: np.ndarray, program: dict[str, Any]) -> np.ndarray | None:
    result: OptimizeResult = milp(cost, options={"node_limit": _NODES, "mip_rel_gap": 0}, **program)
    if result.x is None and result.status != _INFEASIBLE:  # any division at all, however long it takes
        result = milp(np.zeros(len(cost)), **program)
    return None if result.x is None else np.asarray(result.x)
