"""Action spaces as plain data: what an action of a world looks like, in files, in Gymnasium and in batches.

An :class:`ActionSpec` is an ordered set of named components. ``spec.columns(actions)`` turns what users write
(indices, vectors, strings, mappings) into one numpy array per component, in which a missing component is its *null*:
-1 in an integer column, NaN in a float column, "" in a language column. Networks learn an embedding for each null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from slowfast.action_components import KINDS, ActionError, Component, Continuous, Discrete, Keyboard, Language

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class ActionSpec:
    """An ordered set of named action components.

    >>> spec = ActionSpec((Discrete("move", ("turn left", "turn right")), Language("text", describes="move")))
    >>> spec.columns([1, "turn left"])["move"]
    array([ 1, -1])
    """

    components: tuple[Component, ...]

    def __post_init__(self) -> None:
        names = [component.name for component in self.components]
        if not names or len(set(names)) != len(names):
            raise ActionError(f"an ActionSpec needs components with distinct names, got {names}")
        for component in self.components:
            described = component.describes if isinstance(component, Language) else None
            if described is not None and described not in names:
                raise ActionError(
                    f"action component {component.name!r} describes {described!r}, which is not of {names}"
                )

    def __getitem__(self, name: str) -> Component:
        for component in self.components:
            if component.name == name:
                return component
        raise KeyError(f"no action component {name!r}; there are {[c.name for c in self.components]}")

    # --- columns -------------------------------------------------------------------------------------------------

    def columns(self, actions: Any) -> Columns:
        """Actions as one array per component.

        ``actions`` is a sequence of T actions (result axes ``[T, ...]``), a sequence of B such sequences
        (``[B, T, ...]``), or columns already (a mapping of arrays; missing components become null).

        One action is an integer (the first discrete component), a vector (the first continuous or keyboard
        component), a string (the language component if there is one, else a label), a mapping from component name to
        value, or None (all null). Raises :class:`ActionError`.
        """
        if isinstance(actions, Mapping):
            return self._complete(actions)
        if isinstance(actions, np.ndarray) and actions.dtype.kind in "iubf":
            if actions.size == 0:
                return self.null(actions.shape[: actions.shape.index(0) + 1])
            component = self._default(actions, vector=actions.ndim > 1)
            if isinstance(component, Continuous) and component.size == actions.ndim == 1:
                actions = actions[:, None]
            return self._complete({component.name: actions})
        items = list(actions)
        if items and all(self._is_sequence(item) for item in items):
            if len({len(item) for item in items}) != 1:
                raise ActionError(f"every episode needs equally many actions, got {[len(item) for item in items]}")
            return self.stack([self.columns(item) for item in items])
        rows = [self._row(item) for item in items]
        if not rows:
            return self.null((0,))
        return {c.name: np.stack([row[c.name] for row in rows]) for c in self.components}

    def null(self, shape: tuple[int, ...]) -> Columns:
        """Columns in which every component is missing."""
        return {c.name: c.null(shape) for c in self.components}

    @staticmethod
    def stack(parts: Sequence[Columns]) -> Columns:
        return {name: np.stack([part[name] for part in parts]) for name in parts[0]}

    @staticmethod
    def concat(parts: Sequence[Columns], axis: int = 0) -> Columns:
        return {name: np.concatenate([part[name] for part in parts], axis) for name in parts[0]}

    @staticmethod
    def select(columns: Columns, index: Any) -> Columns:
        return {name: column[index] for name, column in columns.items()}

    def _is_sequence(self, item: Any) -> bool:
        """Whether ``item`` is a sequence of actions rather than one action (a vector is one action)."""
        if not isinstance(item, (list, tuple, np.ndarray)) or (isinstance(item, np.ndarray) and item.ndim == 0):
            return False
        if len(item) == 0 or not all(np.isscalar(part) for part in item):
            return True
        vector = any(isinstance(c, (Continuous, Keyboard)) for c in self.components)
        return isinstance(item[0], str) or not vector

    def _default(self, array: np.ndarray, vector: bool) -> Component:
        """The component that values without a name are for; ``vector``: whether one value has several numbers."""
        kinds: tuple[type, ...] = (Discrete, Continuous, Keyboard)
        if array.dtype.kind == "f":
            kinds = (Continuous,)
        elif array.dtype.kind in "UO":
            kinds = (Language, Discrete)
        elif vector:
            kinds = (Continuous | Keyboard, Discrete)  # type: ignore[assignment]  # a union is one kind here
        for kind in kinds:
            for component in self.components:
                if isinstance(component, kind):
                    return component
        raise ActionError(
            f"actions of type {array.dtype} fit no component; there are "
            + ", ".join(f"{component.name!r} ({component.kind})" for component in self.components)
        )

    def _row(self, action: Any) -> dict[str, np.ndarray]:
        row = {c.name: c.null(()) for c in self.components}
        if action is None:
            return row
        if not isinstance(action, Mapping):
            try:
                array = np.asarray(action)
            except ValueError:
                raise ActionError(f"{action!r} is not an action: its parts differ in length") from None
            action = {self._default(array, vector=array.ndim > 0).name: action}
        for name, value in action.items():
            component = self._named(name)
            if value is not None:
                row[name] = component.parse(value)
        return row

    def _named(self, name: str) -> Component:
        try:
            return self[name]
        except KeyError as error:
            raise ActionError(str(error.args[0])) from None

    def _column(self, component: Component, value: Any) -> np.ndarray:
        """Checked values of one component, whatever axes lead."""
        array, null = np.asarray(value), component.null(())
        if array.size == 0:
            return component.null(array.shape[: array.shape.index(0) + 1])
        if array.dtype.kind in "UO" and isinstance(component, (Discrete, Language)):
            column = np.empty(array.size, null.dtype)
            for i, item in enumerate(array.reshape(-1).tolist()):
                column[i] = (null if item is None else component.parse(item))[()]
            return column.reshape(array.shape)
        if null.dtype == object or array.dtype.kind not in ("iub" if null.dtype == np.int64 else "iubf"):
            takes = "text" if null.dtype == object else f"{null.dtype} values"
            raise ActionError(f"action component {component.name!r} takes {takes}, got {array.dtype}")
        array = array.astype(null.dtype)
        if null.ndim and array.shape[-1:] != null.shape:
            raise ActionError(f"action component {component.name!r} takes {null.shape[0]} values, got {array.shape}")
        top = len(component.labels) - 1 if isinstance(component, Discrete) else 1
        if null.dtype == np.int64 and not (array.min() >= -1 and array.max() <= top):
            raise ActionError(f"action component {component.name!r} takes 0..{top} (or -1 for null)")
        return array

    def _complete(self, given: Mapping[str, Any]) -> Columns:
        arrays = {name: self._column(self._named(name), value) for name, value in given.items() if value is not None}
        if not arrays:
            raise ActionError(f"columns need at least one of the components {[c.name for c in self.components]}")
        shapes = {name: array.shape[: array.ndim - self[name].null(()).ndim] for name, array in arrays.items()}
        first, shape = next(iter(shapes.items()))
        if not shape:
            raise ActionError(
                f"action component {first!r} holds one action; columns hold a sequence (axes [T] or [B, T])"
            )
        for name, other in shapes.items():
            if other != shape:
                raise ActionError(f"action component {name!r} has {other} actions, {first!r} has {shape}")
        return {c.name: arrays.get(c.name, c.null(shape)) for c in self.components}

    # --- JSON ----------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        return json.dumps({"components": [{"kind": c.kind, **asdict(c)} for c in self.components]})

    @classmethod
    def from_json(cls, text: str) -> ActionSpec:
        """Raises :class:`ActionError` on text that is not an action spec."""
        try:
            items = json.loads(text)["components"]
            built = []
            for item in items:
                fields = {key: tuple(v) if isinstance(v, list) else v for key, v in item.items() if key != "kind"}
                built.append(KINDS[item["kind"]](**fields))
        except (KeyError, TypeError, ValueError) as error:
            raise ActionError(f"not an ActionSpec in JSON ({error!r}): {text[:200]}") from error
        return cls(tuple(built))

    # --- Gymnasium -----------------------------------------------------------------------------------------------

    @property
    def acting(self) -> tuple[Component, ...]:
        """The components that an agent acts with: all but language, or language alone if there is nothing else."""
        rest = tuple(c for c in self.components if not isinstance(c, Language))
        return rest or self.components

    def to_space(self) -> Any:
        """The Gymnasium space of :attr:`acting`: the component's own space if it is one, else a ``Dict``."""
        from slowfast.action_spaces import to_space

        return to_space(self)

    @classmethod
    def from_space(cls, space: Any, labels: Sequence[str] | None = None, name: str = "action") -> ActionSpec:
        """A spec for a Gymnasium action space (Discrete, Box of rank 1, MultiBinary, Text, flat Dict of these).

        ``labels`` name the choices, axes or keys of a space that is not a ``Dict``. Raises :class:`ActionError`.
        """
        from slowfast.action_spaces import from_space

        return from_space(space, labels, name)
