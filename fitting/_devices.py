"""Work on many cells at once, spread over all devices of all processes."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

Function = Callable[[Any, PyTree], PyTree]


@eqx.filter_jit
def _on_one(function: Function, shared: Any, cells: PyTree) -> PyTree:
    return function(shared, cells)


@eqx.filter_jit
def _on_all(function: Function, shared: Any, cells: PyTree, mesh: Mesh) -> PyTree:
    arrays, rest = eqx.partition(shared, eqx.is_array)

    def local(arrays: Any, cells: PyTree) -> PyTree:
        return function(eqx.combine(arrays, rest), cells)

    # Not left to the compiler, which might have the devices wait for each other.
    each = PartitionSpec("cells")
    specs = (PartitionSpec(), each)
    return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=each, check_vma=False)(
        arrays, cells
    )


def one_by_one(
    function: Function, shared: Any, cells: PyTree
) -> tuple[np.ndarray, PyTree, dict[int, eqx.EquinoxRuntimeError]]:
    """`function(shared, cells)` where it raises for some cells, here and each by itself.

    **Returns:**

    The numbers of the cells that went well, their results (`None` without any), and the errors of
    the others by number.
    """
    results, errors = {}, {}
    for i in range(len(jax.tree.leaves(cells)[0])):
        one = jax.tree.map(lambda x, i=i: x[i : i + 1], cells)
        try:
            results[i] = jax.device_get(_on_one(function, shared, one))
        except eqx.EquinoxRuntimeError as error:
            errors[i] = error
    good = np.array(list(results), int)
    together = jax.tree.map(lambda *x: np.concatenate(x), *results.values()) if results else None
    return good, together, errors


def check_same(values: Any) -> None:
    """Refuses what was read from a checkpoint if it is not the same in all processes.

    **Raises:**

    - `ValueError` if it is not.
    """
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        everywhere = multihost_utils.process_allgather(np.asarray(values))
        if not np.all(everywhere == values):
            raise ValueError("`checkpoint` should be a folder that all processes share.")


class Devices:
    """All devices, also those of other processes, which all make the same calls."""

    def __init__(self) -> None:
        self.count = jax.device_count()
        self._mesh: Mesh | None = None
        if self.count > 1:
            self._mesh = jax.make_mesh((self.count,), ("cells",), axis_types=(AxisType.Auto,))

    def whole(self, size: int) -> int:
        """The next size up that gives all devices as much."""
        return -(-size // self.count) * self.count

    def run(self, function: Function, shared: Any, cells: PyTree) -> PyTree:
        """`function(shared, cells)` in NumPy, for a multiple of `count` cells.

        **Raises:**

        - In all processes what is raised in any of them.
        """
        if self._mesh is None:
            return jax.device_get(_on_one(function, shared, cells))
        shared, cells = self._placed(shared, cells)
        if jax.process_count() == 1:
            return jax.device_get(_on_all(function, shared, cells, self._mesh))
        from jax.experimental import multihost_utils

        results, error = None, None
        try:
            results = jax.block_until_ready(_on_all(function, shared, cells, self._mesh))
        except Exception as raised:  # Of any kind: nobody should wait for this process.
            error = raised
        # A process that gathers results waits for all the others, so all need to have some.
        kind = 0 if error is None else 1 if isinstance(error, eqx.EquinoxRuntimeError) else 2
        worst = np.max(multihost_utils.process_allgather(np.asarray(kind)))
        if worst == 0:
            return multihost_utils.process_allgather(results, tiled=True)
        if error is not None and kind == worst:
            raise error
        raised_elsewhere = eqx.EquinoxRuntimeError if worst == 1 else RuntimeError
        raise raised_elsewhere("An error was raised in another process.")

    def lower(self, function: Function, shared: Any, cells: PyTree) -> Any:
        """What `run` compiles, lowered."""
        if self._mesh is None:
            return _on_one.lower(  # pyright: ignore[reportFunctionMemberAccess]
                function, shared, cells
            )
        return _on_all.lower(  # pyright: ignore[reportFunctionMemberAccess]
            function, *self._placed(shared, cells), self._mesh
        )

    def bytes_of(self, function: Function, shared: Any, cells: PyTree) -> int | None:
        """What `run` takes on each device; `None` where the backend does not tell."""
        usage = self.lower(function, shared, cells).compile().compiled.memory_analysis()
        return usage and usage.temp_size_in_bytes + usage.output_size_in_bytes

    def _placed(self, shared: Any, cells: PyTree) -> tuple[Any, PyTree]:
        return (
            jax.tree.map(lambda x: self._put(x, PartitionSpec()), shared),
            jax.tree.map(lambda x: self._put(x, PartitionSpec("cells")), cells),
        )

    def _put(self, x: Any, spec: PartitionSpec) -> Any:
        """An array of which each device has its part, or all."""
        if not eqx.is_array(x) and not isinstance(x, np.ndarray):
            return x
        if isinstance(x, jax.Array) and jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
            data = self._put(jax.random.key_data(x), spec)
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
        assert self._mesh is not None
        host, sharding = np.asarray(x), NamedSharding(self._mesh, spec)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])
