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


class Devices:
    """All devices, also those of other processes."""

    def __init__(self) -> None:
        self.count = jax.device_count()
        self.first = jax.process_index() == 0
        self._mesh: Mesh | None = None
        if self.count > 1:
            self._mesh = jax.make_mesh((self.count,), ("cells",), axis_types=(AxisType.Auto,))

    def whole(self, size: int) -> int:
        """The next size up that gives all devices as much."""
        return -(-size // self.count) * self.count

    def run(self, function: Function, shared: Any, cells: PyTree) -> PyTree:
        """`function(shared, cells)` in NumPy, for a multiple of `count` cells."""
        if self._mesh is None:
            return jax.device_get(_on_one(function, shared, cells))
        shared = jax.tree.map(lambda x: self._put(x, PartitionSpec()), shared)
        cells = jax.tree.map(lambda x: self._put(x, PartitionSpec("cells")), cells)
        results = _on_all(function, shared, cells, self._mesh)
        if jax.process_count() == 1:
            return jax.device_get(results)
        from jax.experimental import multihost_utils

        return multihost_utils.process_allgather(results, tiled=True)

    def bytes_of(self, function: Function, shared: Any, cells: PyTree) -> int | None:
        """What `run` takes on each device; `None` where the backend does not tell."""
        if self._mesh is None:
            lowered = _on_one.lower(  # pyright: ignore[reportFunctionMemberAccess]
                function, shared, cells
            )
        else:
            shared = jax.tree.map(lambda x: self._put(x, PartitionSpec()), shared)
            cells = jax.tree.map(lambda x: self._put(x, PartitionSpec("cells")), cells)
            lowered = _on_all.lower(  # pyright: ignore[reportFunctionMemberAccess]
                function, shared, cells, self._mesh
            )
        usage = lowered.compile().compiled.memory_analysis()
        return usage and usage.temp_size_in_bytes + usage.output_size_in_bytes

    def check_same(self, values: np.ndarray) -> None:
        """Refuses values that are not the same in all processes.

        **Raises:**

        - `ValueError` if they are not.
        """
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            everywhere = multihost_utils.process_allgather(np.asarray(values))
            if not np.all(everywhere == values):
                raise ValueError("`checkpoint` should be a folder that all processes share.")

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
